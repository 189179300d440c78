"""Runs `manage.py serve` as its user would, and looks at the processes it leaves."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"postgres", "valkey", "worker", "hashing", "beat", "web"}


@dataclass
class Served:
    """One running registry."""

    process: subprocess.Popen[bytes]
    data: Path
    output: Path

    @property
    def status(self) -> dict[str, Any]:
        """What the supervisor wrote about itself and its children."""
        status: dict[str, Any] = json.loads((self.data / "run" / "status.json").read_text())
        return status

    @property
    def web(self) -> str:
        return str(self.status["web"])

    def family(self) -> list[psutil.Process]:
        """The supervisor and everything below it."""
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def wait_ready(self, ready_file: Path) -> None:
        """Return once everything answers; fail with the output when it does not."""
        wait_for(lambda: ready_file.exists() or self.process.poll() is not None, seconds=240)
        assert ready_file.exists(), self.output.read_text()

    def stop(self, number: signal.Signals = signal.SIGINT) -> float:
        """Send the signal and return the seconds until nothing of the family is left."""
        family = self.family()
        begun = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(60)
        _, alive = psutil.wait_procs(family, timeout=10)
        assert not alive, alive
        return time.monotonic() - begun


def wait_for(condition: Any, *, seconds: float) -> None:
    """Ask until it holds; fail when it does not in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.05)


def environment(data: Path, **more: str) -> dict[str, str]:
    """A plain environment with nothing configured but the data folder."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "OPTOUT_DATA": str(data), "OPTOUT_TASK_WORKERS": "1", "OPTOUT_WEB_WORKERS": "1", **more}


def as_nobody() -> Sequence[str]:
    """What turns root into an ordinary user; the interpreter itself may lie where only root can read."""
    if os.geteuid() != 0:
        return []
    rights = ("--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *rights]


def launch(data: Path, ready_file: Path, *, prefix: Sequence[str] = (), **env: str) -> Served:
    """Start without waiting."""
    output = ready_file.with_suffix(".txt")
    ready_file.unlink(missing_ok=True)
    command = [*prefix, sys.executable, str(ROOT / "manage.py"), "serve", "--ready-file", str(ready_file)]
    with output.open("wb") as file:
        process = subprocess.Popen(
            command, env=environment(data, **env), stdout=file, stderr=file, cwd=data.parent
        )
    return Served(process, data, output)


@contextmanager
def serving(data: Path, *, prefix: Sequence[str] = (), **env: str) -> Iterator[Served]:
    """A registry that answers; whatever is left of it at the end is killed."""
    ready_file = data.parent / f"{data.name}.ready"
    served = launch(data, ready_file, prefix=prefix, **env)
    try:
        served.wait_ready(ready_file)
        yield served
    finally:
        end(served)


def end(served: Served) -> None:
    """Make sure that nothing of it is left."""
    if served.process.poll() is None:
        served.process.send_signal(signal.SIGTERM)
        try:
            served.process.wait(20)
        except subprocess.TimeoutExpired:
            served.process.kill()
            served.process.wait()


def answers(url: str) -> int:
    """The status of a page, 0 when nobody answers."""
    try:
        return httpx.get(url, timeout=10, trust_env=False).status_code
    except httpx.HTTPError:
        return 0


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every account may enter and write to; pytest's own folders are closed to others."""
    folder = Path(tempfile.mkdtemp(prefix="optout-served-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)
