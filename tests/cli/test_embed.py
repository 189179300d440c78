"""`optout embed` on files and folders."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from optout.embeddings import load_model, parse_embedding
from optout.embeddings.loading import settings_path
from optout.engine import Question
from optout.snapshot import open_snapshot
from optout.words import Use
from tests.cli.command_support import Home, Ran
from tests.unit.hashing_support import SHIPPED
from tests.unit.model_support import small_clip

Command = Callable[..., Ran]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_clip(tmp_path_factory.mktemp("model") / "small.pt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three pictures, one of them broken."""
    home = tmp_path / "pictures"
    home.mkdir()
    shutil.copy(SHIPPED[0], home / f"a{SHIPPED[0].suffix}")
    shutil.copy(SHIPPED[1], home / f"c{SHIPPED[1].suffix}")
    (home / "b.jpg").write_bytes(b"no picture")
    return home


def test_it_prints_selector_values_and_goes_on_past_a_broken_picture(
    optout: Command, folder: Path, checkpoint: Path
) -> None:
    ran = optout("embed", folder, "--model", checkpoint, "--json")
    first, broken, last = (json.loads(line) for line in ran.out.splitlines())
    assert ran.code == 3
    assert "b.jpg is not a picture" in ran.err
    assert broken["error"]["code"] == "not_a_picture"
    model = load_model(checkpoint)
    for line, source in ((first, SHIPPED[0]), (last, SHIPPED[1])):
        value = parse_embedding(line["clip"])
        assert value.model == line["model"] == model.record.id
        assert np.abs(value.vector - model.embed([source])[0]).max() < 2e-3
    shown = optout("embed", first["path"], last["path"], "--model", checkpoint)
    assert shown.code == 0
    assert shown.out.splitlines()[0].startswith(f"{first['path']}\toce1:ViT-128x2/16@64px@")


def test_the_model_comes_from_the_environment(
    optout: Command, folder: Path, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPTOUT_CLIP_MODEL", str(checkpoint))
    assert optout("embed", folder / f"a{SHIPPED[0].suffix}").code == 0
    monkeypatch.setenv("OPTOUT_CLIP_MODEL", str(folder / "b.jpg"))
    refused = optout("embed", folder, "--json")
    assert refused.code == 3
    assert json.loads(refused.out)["error"]["code"] == "bad_model"


def test_calibrating_writes_the_settings_that_the_model_then_has(optout: Command, tmp_path: Path) -> None:
    checkpoint, home = small_clip(tmp_path / "own.pt"), tmp_path / "strangers"
    home.mkdir()
    chance = np.random.default_rng(0)
    for number in range(100):
        noise = chance.integers(0, 256, (2 + number % 7, 2 + number % 5, 3), np.uint8)
        Image.fromarray(noise).resize((64, 64)).save(home / f"{number}.png")
    few = optout("embed", next(home.iterdir()), "--model", checkpoint, "--calibrate")
    assert few.code == 3
    assert "1 pictures are too few" in few.err
    before = load_model(checkpoint).record
    ran = optout("embed", home, "--model", checkpoint, "--calibrate", "--json")
    assert ran.code == 0, ran.err
    after = load_model(checkpoint).record
    assert json.loads(ran.out) == {**after.as_dict(), "settings": str(settings_path(checkpoint))}
    assert after.id == before.id
    assert after.thresholds != before.thresholds
    assert after.centre.any()


def test_a_snapshot_takes_the_thresholds_of_a_record(
    optout: Command, tmp_path: Path, folder: Path, checkpoint: Path, home: Home
) -> None:
    model = load_model(checkpoint)
    picture = folder / f"a{SHIPPED[0].suffix}"
    line = json.loads(optout("embed", picture, "--model", checkpoint, "--json").out)
    claim = {"selector": "clip", "value": line["clip"], "owner": "mara"}
    claims, record, out = tmp_path / "claims.jsonl", tmp_path / "model.json", tmp_path / "snapshot"
    claims.write_text(json.dumps(claim))
    record.write_text(json.dumps({**model.identity, "thresholds": {"match": 0.91, "review": 0.81}}))
    ran = optout("snapshot", "build", claims, "--key", home.private, "--out", out, "--model", record)
    assert ran.code == 0, ran.err
    question = Question(use=Use.AI_TRAIN)
    (found,) = open_snapshot(out).check([{"clip": line["clip"]}], question)
    assert found["outcome"] == "denied"
    assert found["reasons"][0]["threshold"] == pytest.approx(0.09, abs=1e-6)


@pytest.mark.parametrize(
    "text", ["nothing", "{}", "[1]", '{"id": "a b", "thresholds": {}}', '{"id": "m", "thresholds": null}']
)
def test_what_is_no_record(optout: Command, tmp_path: Path, home: Home, text: str) -> None:
    record, out = tmp_path / "model.json", tmp_path / "snapshot"
    record.write_text(text)
    (tmp_path / "claims.jsonl").write_text("")
    ran = optout(
        "snapshot", "build", tmp_path / "claims.jsonl", "--key", home.private, "--out", out, "--model", record
    )
    assert ran.code == 3
    assert f"{record} holds no record of a model" in ran.err
    assert not out.exists()


def test_nothing_to_embed(optout: Command, tmp_path: Path, checkpoint: Path) -> None:
    ran = optout("embed", tmp_path, "--model", checkpoint, "--json")
    assert ran.code == 3
    assert json.loads(ran.out)["error"]["code"] == "no_pictures"
