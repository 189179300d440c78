"""`trainer audit`: models that draw copies are caught, with the pictures side by side."""

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from optout import keys
from optout.hashes import hash_picture
from tests.cli.command_support import build
from tests.trainer.support import Ran, tiny, write_receipt, write_tar
from tests.unit.model_support import small_clip
from trainer.cli.app import run

Command = Callable[..., Ran]

#: Works whose hashes are evidence; those of many patterns as plain as these are not.
FLAG, OTHER = 8, 53
CAPTION = "a flag <b>of</b> tiles"


class Trained(NamedTuple):
    """A model that knows one work by heart: its data, where the pictures lie, and itself."""

    data: Path
    work: Path
    model: Path


def tiles(seed: int) -> Image.Image:
    """A work that a tiny model can learn by heart."""
    light = np.random.default_rng(seed).choice([0, 255], (8, 8)).astype(np.uint8)
    return Image.fromarray(np.kron(light, np.ones((2, 2), np.uint8))).convert("RGB")


@pytest.fixture(scope="module")
def learned(tmp_path_factory: pytest.TempPathFactory, signer: Path) -> Trained:
    home = tmp_path_factory.mktemp("learned")
    work = home / "works" / "flag.png"
    work.parent.mkdir()
    tiles(FLAG).save(work)
    write_tar(home / "data" / "00000.tar", [("000000000", work.read_bytes(), CAPTION)])
    write_receipt(home / "data", keys.load_private(signer / "private.pem"))
    where = ("--data", home / "data", "--out", home / "model", "--trust", signer / "public.pem")
    settings = tiny(
        "model.channels=[16,32]",
        "objective.prediction=sample",
        "objective.min_snr=0",
        "data.caption_dropout=0",
        "optimizer.rate=1e-2",
        "ema.decay=0.95",
    )
    assert run([str(part) for part in ("train", *where, "--steps", 500, *settings)]) == 0
    return Trained(home / "data", work, home / "model")


@pytest.fixture
def snapshot(tmp_path: Path, signer: Path) -> Callable[..., Path]:
    """Builds a snapshot of denials."""

    def make(*claims: dict[str, str]) -> Path:
        denials = [{"decision": "deny", "owner": "Ada", **claim} for claim in claims]
        return build(tmp_path / "snapshot", denials, signer / "private.pem")

    return make


NOTHING = {"selector": "domain", "value": "elsewhere.example"}
# What a model draws after a minute of training is near the work, and no closer.
EASY = ("--steps", 20, "--guidance", 1, "--evidence", "probable")


def report_of(folder: Path) -> Any:
    return json.loads((folder / "audit.json").read_text())


@pytest.mark.slow
def test_a_copy_of_a_training_work_is_caught(
    trainer: Command, learned: Trained, signer: Path, snapshot: Callable[..., Path], tmp_path: Path
) -> None:
    out = tmp_path / "report"
    trust = ("--trust", signer / "public.pem")
    ran = trainer(
        "audit",
        learned.model,
        "--snapshot",
        snapshot(NOTHING),
        "--data",
        learned.data,
        "--out",
        out,
        *trust,
        *EASY,
    )
    assert ran.code == 1, ran.err
    report = report_of(out)
    assert (report["clean"], report["counts"]["training"], report["counts"]["registry"]) == (False, 2, 0)
    found = report["findings"][0]
    assert (found["against"], found["prompt"], found["work"]) == ("training", CAPTION, "00000.tar:000000000")
    shown = np.asarray(Image.open(out / found["shown"]))
    assert (shown == np.asarray(tiles(FLAG))).all()
    page = (out / "audit.html").read_text()
    assert found["shown"] in page
    assert found["picture"] in page
    assert "&lt;b&gt;" in page
    assert "<b>" not in page


@pytest.mark.slow
def test_a_copy_of_a_claimed_work_is_caught(
    trainer: Command, learned: Trained, snapshot: Callable[..., Path], tmp_path: Path
) -> None:
    """The registry has no picture of the work; where somebody has it at hand it is shown."""
    claim = {"selector": "picture", "value": hash_picture(learned.work).fingerprint, "title": "Flag"}
    (tmp_path / "prompts.txt").write_text(f"{CAPTION}\n\n")
    given = ("--prompts", tmp_path / "prompts.txt", "--originals", learned.work.parent)
    out = tmp_path / "report"
    ran = trainer(
        "audit", learned.model, "--snapshot", snapshot(claim), "--out", out, "--json", *given, *EASY
    )
    assert ran.code == 1, ran.err
    assert ran.json == report_of(out)
    found = ran.json["findings"][0]
    assert (found["against"], found["owner"], found["title"], found["work"]) == (
        "registry",
        "Ada",
        "Flag",
        None,
    )
    assert (out / found["shown"]).is_file()
    assert found["distance"] <= found["threshold"]


@pytest.mark.slow
def test_embeddings_are_compared_where_a_model_is_named(
    trainer: Command, learned: Trained, signer: Path, snapshot: Callable[..., Path], tmp_path: Path
) -> None:
    model, out = small_clip(tmp_path / "clip.pt"), tmp_path / "report"
    where = ("--data", learned.data, "--trust", signer / "public.pem", "--out", out)
    ran = trainer(
        "audit", learned.model, "--snapshot", snapshot(NOTHING), *where, *EASY, "--embeddings", model
    )
    assert ran.code == 1, ran.err
    report = report_of(out)
    assert report["embeddings"]["weights"] == hashlib.sha256(model.read_bytes()).hexdigest()
    by_kind = {found["selector"]: found for found in report["findings"]}
    assert by_kind.keys() == {"picture", "clip"}
    assert by_kind["clip"]["distance"] <= by_kind["clip"]["threshold"] < 0.1
    assert report["embeddings"]["id"] in (out / "audit.html").read_text()


@pytest.mark.slow
def test_other_works_are_not_accused(
    trainer: Command, learned: Trained, snapshot: Callable[..., Path], tmp_path: Path
) -> None:
    tiles(OTHER).save(tmp_path / "other.png")
    claim = {"selector": "picture", "value": hash_picture(tmp_path / "other.png").fingerprint}
    (tmp_path / "prompts.txt").write_text(CAPTION)
    out = tmp_path / "report"
    given = ("--prompts", tmp_path / "prompts.txt", "--out", out)
    ran = trainer("audit", learned.model, "--snapshot", snapshot(claim), *given, *EASY)
    assert (ran.code, report_of(out)["findings"]) == (0, [])
    assert "0 pictures are copies of claimed works" in ran.out


@pytest.mark.slow
def test_claimed_names_are_drawn(
    trainer: Command, learned: Trained, snapshot: Callable[..., Path], tmp_path: Path
) -> None:
    """A snapshot holds no names, but owners and titles, and whether those are claimed as names."""
    named = {"selector": "name", "value": "Mara Lindqvist", "owner": "Mara Lindqvist"}
    titled = {
        "selector": "name",
        "value": "Teo Brandt",
        "owner": "studio-7",
        "title": "Teo Brandt, all works",
    }
    unnamed = {"selector": "domain", "value": "ilse.example", "owner": "Ilse Vanterpool"}
    out = tmp_path / "report"
    opened = snapshot(named, titled, unnamed)
    ran = trainer("audit", learned.model, "--snapshot", opened, "--out", out, "--per-prompt", 1, *EASY)
    assert ran.code == 0, ran.err
    drawn = [picture["text"] for picture in report_of(out)["pictures"]]
    assert drawn == ["a picture by mara lindqvist", "a picture by teo brandt"]


@pytest.mark.slow
def test_an_update_is_audited_on_the_checkpoint_that_it_is_for(
    trainer: Command,
    filtered: Path,
    signer: Path,
    base: Path,
    snapshot: Callable[..., Path],
    tmp_path: Path,
) -> None:
    out, trust = tmp_path / "lora", ("--trust", signer / "public.pem")
    update = tiny("model.kind='checkpoint'", f"model.base='{base}'", "lora.rank=2", "optimizer.rate=1")
    assert trainer("train", "--data", filtered, "--out", out, "--steps", 2, *trust, *update).code == 0
    (tmp_path / "prompts").write_text("a red square\n")
    few = ("--captions", 2, "--per-prompt", 1, "--steps", 2, "--prompts", tmp_path / "prompts", "--json")
    where = (
        "--snapshot",
        snapshot({"selector": "name", "value": "Ada Byron", "owner": "Ada Byron"}),
        *trust,
        *few,
    )
    ran = trainer("audit", out, "--base", base, "--data", filtered, "--out", tmp_path / "report", *where)
    assert (ran.code, ran.json["clean"]) == (0, True), ran.err
    assert ran.json["counts"]["prompts"] == {"caption": 2, "name": 1, "given": 1}
    assert set(ran.json["weights"]) == {"lora_kohya.safetensors", "pytorch_lora_weights.safetensors"}
    assert trainer("audit", base, "--out", tmp_path / "plain", *where).code == 0
    drawn = [(tmp_path / name / "drawn" / "00000.png").read_bytes() for name in ("report", "plain")]
    assert drawn[0] != drawn[1]


def test_what_cannot_be_audited(
    trainer: Command,
    learned: Trained,
    filtered: Path,
    signer: Path,
    snapshot: Callable[..., Path],
    tmp_path: Path,
) -> None:
    opened, trust = snapshot(NOTHING), ("--trust", signer / "public.pem")

    def refused(
        *arguments: object, model: Path = learned.model, out: Path = tmp_path / "report"
    ) -> tuple[int, str]:
        ran = trainer("audit", model, "--snapshot", opened, "--out", out, "--json", *arguments)
        return ran.code, ran.json["error"]["code"]

    assert refused() == (2, "no_prompts")
    assert refused(model=learned.data) == (3, "not_a_model")
    assert refused("--base", learned.model) == (2, "base")
    assert refused("--data", filtered, *trust) == (1, "other_receipt")
    assert refused("--data", filtered) == (2, "no_trust")
    assert refused("--prompts", tmp_path / "none.txt") == (3, "bad_prompts")
    changed = tmp_path / "changed"
    shutil.copytree(learned.model, changed)
    (changed / "README.md").write_text("Trained on nothing.")
    assert refused(*trust, model=changed) == (1, "changed_file")
    (tmp_path / "prompts.txt").write_text("a flag")
    assert refused("--prompts", tmp_path / "prompts.txt", out=learned.data) == (2, "output_exists")
    assert (learned.data / "00000.tar").exists()
    assert not (tmp_path / "report").exists()
