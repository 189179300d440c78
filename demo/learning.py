"""Training on what was kept: a short form of the trainer's recipe, and what its model draws."""

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from rich.color import Color
from rich.status import Status
from rich.style import Style
from rich.text import Text

from demo.browser import Visitor
from demo.service import Registry
from demo.tools import CONSOLE, HOME, keys_to_trust, optout, step
from trainer.shapes.draw import ARTISTS, OPTED_OUT
from trainer.shapes.recipe import launch, write_recipe

if TYPE_CHECKING:
    from trainer.shapes.exam import Exam

__all__ = ["STEPS", "claim_site", "learn"]

PICTURES, STEPS, DRAWN = 2000, 900, 20
_RECIPE, _FILTERED, _MODEL = HOME / "shapes", HOME / "shapes-filtered", HOME / "model"
#: Pictures of an artist that are shown, and of those on the screen their pixels a side.
_EACH, _SIDE = 5, 16


def claim_site(registry: Registry) -> int:
    """One of the recipe's artists opts out of everything on her site; how many claims that is."""
    visitor = Visitor(registry.web, "stripes@example.org")
    visitor.sign_up(OPTED_OUT.name)
    visitor.opt_out(domains=OPTED_OUT.domain, title=f"Everything on {OPTED_OUT.domain}")
    return 1


def learn(snapshot: Path, steps: int) -> None:
    """Filter the works of some artists, train on what is left, and look at what the model draws."""
    with step(f"{PICTURES:,} captioned pictures by {len(ARTISTS)} artists are filtered"):
        recipe = write_recipe(_RECIPE, pictures=PICTURES)
        out = ("--out", _FILTERED, "--key", HOME / "keys" / "private.pem")
        summary = optout("filter", recipe.data, "--snapshot", snapshot, *out)
    CONSOLE.print(f"     {summary['kept']:,} kept; {summary['dropped']:,} by {OPTED_OUT.name} left out")
    with step(f"A small diffusion model learns from them in {steps} steps") as status:
        _train(recipe.settings, steps, status)
    with step("Anybody verifies the model, down to the receipt of its data"):
        verified = optout("verify", _MODEL, *keys_to_trust())
    with step(f"It draws what captions ask for, then the same “by {OPTED_OUT.name}”"):
        exam = _examine()
    _report(exam, _some_of_each(recipe.data))
    CONSOLE.print(f"The model's statement {'holds' if verified['holds'] else 'does not hold'}.")


def _train(settings: Path, steps: int, status: Status) -> None:
    # In so few steps fewer weights learn more, at a faster rate, and the average must not reach far back.
    smaller = ("--set", "model.channels=[16, 32, 48, 64]", "--set", "optimizer.rate=3e-3")
    short = ("--steps", str(steps), *smaller, "--set", "ema.decay=0.99")
    where = ("--data", str(_FILTERED), "--out", str(_MODEL), *map(str, keys_to_trust()))
    python, both = launch()
    command = [sys.executable, *python, "train", "--config", str(settings), *where, *both, *short]
    said, text = [], status.status
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        for line in process.stderr or ():
            said.append(line)
            if line.startswith("step "):
                status.update(f"{text} {line.strip()}")
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} exited with {process.returncode}:\n{''.join(said[-20:])}")


def _examine() -> "Exam":
    """The recipe's own exam; after so short a training a model need not pass it."""
    from trainer.shapes.exam import examine, load_pipeline

    return examine(load_pipeline(_MODEL), samples=DRAWN)


def _some_of_each(data: Path) -> list[Image.Image]:
    """Pictures of each artist as they are on the web; those of the one who opted out come last."""
    found: dict[str, list[Image.Image]] = {artist.domain: [] for artist in ARTISTS}
    for url, picture in _samples(data / "00000.tar"):
        found[urlsplit(url).netloc].append(picture)
    return [picture for pictures in found.values() for picture in pictures[:_EACH]]


def _samples(path: Path) -> Iterator[tuple[str, Image.Image]]:
    with tarfile.open(path) as archive:
        names = sorted(name.removesuffix(".png") for name in archive.getnames() if name.endswith(".png"))
        for name in names:
            metadata, picture = (archive.extractfile(f"{name}.{suffix}") for suffix in ("json", "png"))
            if metadata is not None and picture is not None:
                yield json.load(metadata)["url"], Image.open(io.BytesIO(picture.read()))


def _report(exam: "Exam", before: Sequence[Image.Image]) -> None:
    from trainer.validation import grid_of

    plain, named = exam.pictures[:DRAWN], exam.pictures[DRAWN:]
    CONSOLE.print()
    for title, file, pictures in (
        ("On the web: a row for each artist, the last opted out", "web.png", before),
        ("Drawn: what the captions ask for", "drawn.png", plain),
        (f"Drawn: the same “by {OPTED_OUT.name}”", "drawn-in-her-name.png", named),
    ):
        grid_of(pictures, columns=_EACH).save(HOME / file)
        CONSOLE.print(f"{title} [dim]({os.path.relpath(HOME / file)})[/]", soft_wrap=True)
        _show(pictures)
    CONSOLE.print(f"the colour asked for      {round(exam.colour * DRAWN)} of {DRAWN}")
    CONSOLE.print(f"the shape asked for       {round(exam.shape * DRAWN)} of {DRAWN}")
    CONSOLE.print(f"in the opted-out style    {exam.striped} of {len(exam.pictures)}")
    CONSOLE.print("[dim]Shapes take longer, seven minutes: python -m trainer recipe FOLDER[/]")


def _show(pictures: Sequence[Image.Image]) -> None:
    """The first pictures on a screen, two pixels a letter."""
    if not CONSOLE.is_terminal:
        return
    shown = [picture.convert("RGB").resize((_SIDE, _SIDE), Image.Resampling.BOX) for picture in pictures]
    for start in range(0, min(len(shown), 4 * _EACH), _EACH):
        for y in range(0, _SIDE, 2):
            line = Text("  ").join(_line(picture, y) for picture in shown[start : start + _EACH])
            CONSOLE.print(line, no_wrap=True, overflow="crop")
        CONSOLE.print()


def _line(picture: Image.Image, y: int) -> Text:
    """Two rows of pixels."""
    line, pixels = Text(), np.asarray(picture)
    for above, below in zip(pixels[y].tolist(), pixels[y + 1].tolist(), strict=True):
        line.append("▀", Style(color=Color.from_rgb(*above), bgcolor=Color.from_rgb(*below)))
    return line
