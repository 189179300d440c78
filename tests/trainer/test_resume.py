"""Runs that are stopped, in every way that comes to mind, and go on as if nothing had happened."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from optout.filter.atomic import sha256_of
from tests.trainer.support import Ran, tiny

Command = Callable[..., Ran]
ROOT = Path(__file__).parents[2]
WEIGHTS = "unet/diffusion_pytorch_model.safetensors"


class Run:
    """A run with the same settings wherever it is started."""

    def __init__(self, trainer: Command, filtered: Path, signer: Path, folder: Path) -> None:
        self.trainer, self.folder = trainer, folder
        self.fixed = ("--data", filtered, "--trust", signer / "public.pem")

    def arguments(self, name: str, *more: object, steps: int = 12) -> list[str]:
        some = ("run.save_every=4", "run.log_every=1", "data.flip=true", "data.aspect_buckets=true")
        command = ["train", *self.fixed, "--out", self.folder / name, "--steps", steps, "--json"]
        return [str(part) for part in (*command, *tiny(*some), *more)]

    def __call__(self, name: str, *more: object, steps: int = 12) -> Ran:
        return self.trainer(*self.arguments(name, *more, steps=steps))

    def start(self, name: str, *, limit: str = "") -> subprocess.Popen[str]:
        """The command in a process of its own; `limit` is Python that runs first."""
        code = f"{limit}\nfrom trainer.cli import main\nmain()"
        return subprocess.Popen(
            [sys.executable, "-c", code, *self.arguments(name)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def losses(self, name: str) -> list[tuple[int, float]]:
        log = self.folder / f"{name}.run" / "log.jsonl"
        lines = [json.loads(line) for line in log.read_text().splitlines()]
        return [(line["step"], line["loss"]) for line in lines]

    def checkpoints(self, name: str) -> list[str]:
        return sorted(path.name for path in (self.folder / f"{name}.run" / "checkpoints").iterdir())

    def weights(self, name: str) -> str:
        return sha256_of(self.folder / name / WEIGHTS)


@pytest.fixture
def run(trainer: Command, filtered: Path, signer: Path, tmp_path: Path) -> Run:
    return Run(trainer, filtered, signer, tmp_path)


def test_the_same_seed_gives_the_same_model_and_another_does_not(run: Run) -> None:
    assert [run(name, steps=3).code for name in ("one", "two")] == [0, 0]
    assert run("three", "--set", "run.seed=1", steps=3).code == 0
    assert run.losses("one") == run.losses("two") != run.losses("three")
    assert run.weights("one") == run.weights("two") != run.weights("three")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_very_same_weights(run: Run) -> None:
    assert run("whole").code == 0
    process = run.start("killed")
    log = run.folder / "killed.run" / "log.jsonl"
    deadline = time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) >= 6):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (run.folder / "killed").exists()
    ran = run("killed")
    assert (ran.code, ran.json["resumed_from"] in (4, 8)) == (0, True), ran.err
    assert run.losses("killed") == run.losses("whole")
    assert run.weights("killed") == run.weights("whole")
    assert ran.json["pictures"] == 48


@pytest.mark.slow
def test_two_processes_share_the_data_and_go_on_together(run: Run) -> None:
    launch = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node=2",
        "-m",
        "trainer",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}

    def go(name: str, steps: int) -> dict[str, object]:
        command = [*launch, *run.arguments(name, "--set", "optimizer.schedule=constant", steps=steps)]
        ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=280)
        assert ran.returncode == 0, ran.stderr
        found: dict[str, object] = json.loads(ran.stdout)
        return found

    whole = go("whole", 4)
    assert (whole["pictures"], whole["distinct"]) == (32, 24)
    assert go("halves", 2)["pictures"] == 16
    rest = go("halves", 4)
    assert (rest["resumed_from"], rest["pictures"], rest["distinct"]) == (2, 32, 24)
    assert run.losses("halves") == run.losses("whole")
    ran = run("halves", "--set", "optimizer.schedule=constant", steps=6)
    assert (ran.code, ran.json["error"]["code"]) == (3, "other_world")


def test_a_longer_run_goes_on_where_a_shorter_one_ended(run: Run) -> None:
    constant = ("--set", "optimizer.schedule=constant")
    assert run("whole", *constant, steps=8).code == 0
    assert run("short", *constant, steps=4).code == 0
    longer = run("short", *constant, "--set", "data.workers=2", steps=8)
    assert (longer.code, longer.json["resumed_from"]) == (0, 4)
    assert run.weights("short") == run.weights("whole")


def test_a_half_written_checkpoint_is_passed_over_and_named(run: Run) -> None:
    assert run("whole").code == 0
    assert run("broken").code == 0
    assert run.checkpoints("broken") == ["step-00000008", "step-00000012"]
    folder = run.folder / "broken.run" / "checkpoints"
    weights = folder / "step-00000012" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    (folder / ".step-00000016.part").mkdir()
    ran = run("broken")
    assert (ran.code, ran.json["resumed_from"]) == (0, 8)
    assert "step-00000012 is not whole" in ran.err
    assert "weights.safetensors was changed or is cut off" in ran.err
    assert run.weights("broken") == run.weights("whole")
    for path in folder.iterdir():
        (path / "state.json").write_text('{"step": 12')
    ran = run("broken")
    assert (ran.code, ran.json["resumed_from"]) == (0, 0)
    assert run.weights("broken") == run.weights("whole")


@pytest.mark.slow
def test_a_full_disk_is_said_and_takes_nothing_away(run: Run) -> None:
    # A limit on file sizes fails the same writes that a full disk does, without the right to mount one.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))"
    out, err = run.start("full", limit=limit).communicate(timeout=200)
    error = json.loads(out)["error"]
    assert error["code"] == "disk_full", err
    assert "step-00000004" in error["message"]
    assert "make room and run the same command again" in error["message"]
    assert run.checkpoints("full") == []
    assert run("full").code == 0
    out, err = run.start("full", limit=limit).communicate(timeout=200)
    assert json.loads(out)["error"]["code"] == "disk_full", err
    assert "the checkpoints stay" in err
    ran = run("full")
    assert (ran.code, ran.json["resumed_from"]) == (0, 12)


@pytest.mark.slow
def test_a_disk_that_is_full_from_the_beginning_is_said_too(run: Run) -> None:
    """What the libraries write, as the vocabulary here, fails with errors of theirs."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, 8_000))"
    process = run.start("full", limit=limit)
    out, err = process.communicate(timeout=200)
    assert (process.returncode, json.loads(out)["error"]["code"]) == (3, "disk_full"), err
    assert "run the same command to go on" in err
    assert run("full", steps=1).code == 0


def test_a_loss_that_is_no_number_names_step_and_batch(run: Run) -> None:
    ran = run("nan", "--set", "optimizer.rate=1e38", "--set", "run.save_every=1")
    error = ran.json["error"]
    assert (ran.code, error["code"]) == (3, "nan_loss")
    step = int(error["message"].split("at step ")[1].split(",")[0])
    assert 1 < step < 12
    assert ".tar:0000000" in error["message"]
    assert run.checkpoints("nan")[-1] == f"step-{step - 1:08d}"
    assert not (run.folder / "nan").exists()


def test_another_run_is_not_gone_on_with(run: Run) -> None:
    assert run("model", steps=1).code == 0
    ran = run("model", "--set", "optimizer.batch=2", steps=1)
    assert (ran.code, ran.json["error"]["code"]) == (2, "other_run")
    assert "optimizer.batch = 4, now 2" in ran.json["error"]["message"]
    assert run("model", "--set", "optimizer.batch=2", "--overwrite", steps=1).code == 0


def test_what_is_not_ours_is_not_overwritten(run: Run) -> None:
    (run.folder / "precious").mkdir()
    (run.folder / "precious" / "letter.txt").write_text("dear")
    for more in ((), ("--overwrite",)):
        ran = run("precious", *more, steps=1)
        assert (ran.code, ran.json["error"]["code"]) == (2, "output_exists")
    assert (run.folder / "precious" / "letter.txt").read_text() == "dear"
    (run.folder / "precious").rename(run.folder / "model.run")
    ran = run("model", "--overwrite", steps=1)
    assert (ran.code, ran.json["error"]["code"]) == (2, "output_exists")
    assert (run.folder / "model.run" / "letter.txt").read_text() == "dear"


def test_what_came_into_the_place_of_a_model_stays_when_its_run_goes_on(run: Run) -> None:
    assert run("model", steps=1).code == 0
    shutil.rmtree(run.folder / "model")
    (run.folder / "model").mkdir()
    (run.folder / "model" / "letter.txt").write_text("dear")
    ran = run("model", steps=2)
    assert (ran.code, ran.json["error"]["code"]) == (2, "output_exists")
    assert (run.folder / "model" / "letter.txt").read_text() == "dear"
