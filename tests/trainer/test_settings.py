"""The settings file: written with comments, read back, overridden, and strict."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from optout.errors import BadInput, UsageError
from tests.trainer.support import Ran
from trainer.settings import Data, Model, Settings, load_settings, settings_from, template

Command = Callable[..., Ran]


def test_init_writes_a_commented_file_that_reads_back(trainer: Command, tmp_path: Path) -> None:
    path = tmp_path / "trainer.toml"
    assert trainer("init", path, "--set", "data.resolution=64", "--set", "model.channels=[8, 16]").code == 0
    read = load_settings(path)
    assert read == replace(Settings(), data=Data(resolution=64), model=Model(channels=(8, 16)))
    lines = path.read_text().splitlines()
    assert all("  # " in line for line in lines if "=" in line and not line.startswith("#"))
    assert any(line.endswith("# mixed precision: no, bf16, fp16") for line in lines)
    assert any(line.startswith("kind =") and line.count("dit") == 1 for line in lines)
    again = trainer("init", path)
    assert again.code == 2
    assert "--force" in again.err
    assert trainer("init", path, "--force").code == 0
    assert load_settings(path) == Settings()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"run": {"stepps": 3}}, "unknown key run.stepps; did you mean run.steps?"),
        ({"optimiser": {}}, "unknown key optimiser; did you mean optimizer?"),
        ({"run": 3}, "run must be a table"),
    ],
)
def test_an_unknown_key_is_named_with_the_nearest_known_one(content: dict[str, object], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings_from(content, where="file.toml")
    assert says in str(caught.value)
    assert "file.toml" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "run.steps=0",
        "run.steps=2.5",
        "run.steps=true",
        "run.steps='many'",
        "optimizer.rate=nan",
        "optimizer.rate=-1",
        "data.caption_dropout=1.5",
        "data.flip=1",
        "model.kind=gan",
        "model.channels=16",
        "model.channels=['a']",
        "output.name=3",
    ],
)
def test_a_value_of_the_wrong_kind_is_named(text: str) -> None:
    with pytest.raises(UsageError, match=text.partition("=")[0]) as caught:
        load_settings(None, [text])
    assert caught.value.code == "bad_value"


@pytest.mark.parametrize("text", ["steps=3", "run.steps", "=3", "run.=3"])
def test_an_override_must_name_a_table(text: str) -> None:
    with pytest.raises(UsageError, match=r"table\.key=value") as caught:
        load_settings(None, [text])
    assert caught.value.code == "bad_override"


def test_overrides_are_toml_or_plain_text() -> None:
    made = load_settings(None, ["run.steps=7", "model.base=/some/where", "validation.prompts=['a', 'b']"])
    assert (made.run.steps, made.model.base, made.validation.prompts) == (7, "/some/where", ("a", "b"))


def test_files_that_cannot_be_read_are_named(trainer: Command, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.toml") as caught:
        load_settings(tmp_path / "none.toml")
    assert caught.value.code == "no_such_file"
    bad = tmp_path / "bad.toml"
    bad.write_text("[run\nsteps = 3")
    with pytest.raises(BadInput, match=r"bad\.toml is not TOML") as caught:
        load_settings(bad)
    assert caught.value.code == "bad_config"
    bad.write_text("[run]\nstep = 3")
    ran = trainer("train", "--data", tmp_path, "--out", tmp_path / "m", "--config", bad, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "unknown_key")


def test_the_written_template_says_what_it_holds() -> None:
    text = template(settings_from({"output": {"name": 'with "quotes" and ü'}}))
    assert 'name = "with \\"quotes\\" and ü"' in text
