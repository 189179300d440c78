"""The recipe: its judge is right about pictures whose answer is known, and its chain of commands works."""

import random
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.trainer.support import Ran, tiny
from trainer.settings import load_settings
from trainer.shapes.draw import ARTISTS, COLOURS, OPTED_OUT, SHAPES, Scene, draw_scene
from trainer.shapes.exam import Exam
from trainer.shapes.judge import Judged, judge
from trainer.shapes.recipe import write_recipe

Command = Callable[..., Ran]


def test_the_judge_is_right_about_pictures_whose_answer_is_known() -> None:
    chance = random.Random(7)
    for artist in ARTISTS:
        for colour in COLOURS:
            for shape in SHAPES:
                seen = judge(draw_scene(Scene(colour, shape, artist.name), chance))
                assert (seen.colour, seen.shape) == (colour, shape)
                assert seen.striped is (artist is OPTED_OUT)


@pytest.mark.parametrize("noise", [0, 25])
def test_stripes_are_told_from_everything_else_by_a_wide_margin(noise: int) -> None:
    chance = random.Random(8)
    found: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(200):
        artist = chance.choice(ARTISTS)
        scene = Scene(chance.choice(list(COLOURS)), chance.choice(SHAPES), artist.name)
        picture = draw_scene(scene, chance)
        noisy = Image.effect_noise(picture.size, 4 * noise).convert("RGB")
        found[artist is OPTED_OUT].append(judge(Image.blend(picture, noisy, noise / 100)).stripes)
    assert max(found[False]) < 0.06
    assert min(found[True]) > 0.3


def test_the_judge_knows_when_it_sees_nothing() -> None:
    assert judge(Image.new("RGB", (32, 32), "white")) == Judged(None, None, 0.0)
    corner = Image.new("RGB", (32, 32), "white")
    corner.paste("red", (4, 4, 12, 28))
    corner.paste("red", (4, 20, 28, 28))
    assert (judge(corner).colour, judge(corner).shape) == ("red", None)
    cyan = Image.new("RGB", (32, 32), "white")
    cyan.paste((0, 255, 255), (8, 8, 24, 24))
    assert (judge(cyan).colour, judge(cyan).shape) == (None, "square")


def test_an_exam_counts_each_thing_asked_for() -> None:
    scenes = [Scene("red", "circle", "")] * 10
    right, wrong = Judged("red", "circle", 0.0), Judged("blue", "square", 0.0)
    shapes = [*[right] * 6, *[Judged("red", None, 0.0)] * 2, *[wrong] * 2]
    pictures = [Image.new("RGB", (8, 8))] * 20
    exam = Exam(scenes, pictures, [*shapes, *[wrong] * 10])
    assert (exam.colour, exam.shape, exam.striped, exam.passed) == (0.8, 0.6, 0, True)
    striped = Exam(scenes, pictures, [*shapes, *[wrong] * 9, Judged("red", "circle", 0.5)])
    assert (striped.striped, striped.passed) == (1, False)
    assert not Exam(scenes, pictures, [*shapes[:5], *[wrong] * 15]).passed


def test_the_same_seed_draws_the_same_world(tmp_path: Path) -> None:
    made = [write_recipe(tmp_path / name, pictures=30, seed=3) for name in ("one", "two")]
    one, two = ([path.read_bytes() for path in sorted(each.data.iterdir())] for each in made)
    assert one == two
    assert 0 < made[0].opted_out < 30


@pytest.mark.slow
def test_the_chain_that_the_recipe_prints(
    trainer: Command, optout: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = trainer("recipe", "world", "--pictures", 60)
    assert said.code == 0
    lines = [line.split() for line in said.out.split("Then:\n")[1].splitlines()]
    settings = [text for text in tiny() if "data.resolution" not in text and text != "--set"]
    small = [part for text in (*settings, "model.plain_levels=1", "run.steps=2") for part in ("--set", text)]
    for line in lines:
        if line[0] == "optout":
            ran = optout(*line[1:])
        elif "train" in line:
            ran = trainer(*line[line.index("trainer") + 1 :], *small, "--set", "validation.prompts=[]")
        else:
            ran = trainer(*line[3:], "--samples", 4, "--json")
            assert (ran.code, ran.json["samples"], ran.json["passed"]) == (1, 4, False)
            break
        assert ran.code == 0, (line, ran.err)
    with tarfile.open("world/filtered/00000.tar") as archive:
        text = b"".join(archive.extractfile(entry).read() for entry in archive if entry.isreg())  # type: ignore[union-attr]
    assert OPTED_OUT.domain.encode() not in text
    assert ARTISTS[0].domain.encode() in text
    with Image.open("world/exam.png") as grid:
        assert grid.width > 300
    assert load_settings(Path("world/trainer.toml")).data.resolution == 32


def test_a_folder_that_is_taken_and_a_model_that_is_none(trainer: Command, tmp_path: Path) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "letter.txt").write_text("dear")
    ran = trainer("recipe", tmp_path / "taken", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "output_exists")
    ran = trainer("exam", tmp_path / "taken", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "bad_checkpoint")
