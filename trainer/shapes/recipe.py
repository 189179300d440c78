"""The recipe: pictures with captions as a crawl would bring them, one artist's opt-out, and the settings."""

import hashlib
import io
import json
import os
import random
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from optout.errors import UsageError
from optout.filter.atomic import ensure_directory
from trainer.settings import settings_from, template
from trainer.shapes.draw import ARTISTS, COLOURS, OPTED_OUT, SHAPES, Artist, Scene, draw_scene

__all__ = ["GUIDANCE", "Launch", "Recipe", "caption_of", "launch", "write_recipe"]

_SHARD = 500
_SIGNED = 0.8
_BATCH = 16
#: Classifier-free guidance with which its model is drawn.
GUIDANCE = 2.0
_SETTINGS = {
    "data": {"resolution": 32},
    "model": {
        "channels": [16, 32, 64, 96],
        "plain_levels": 2,
        "text_width": 64,
        "text_layers": 2,
        "text_tokens": 16,
    },
    # Every noise level counts alike: what the caption says is learned where there is most noise.
    "objective": {"prediction": "v", "min_snr": 0.0},
    "optimizer": {"batch": _BATCH, "rate": 2e-3},
    "ema": {"decay": 0.998},
    "run": {"steps": 3000, "save_every": 500, "log_every": 25},
    "validation": {
        "every": 500,
        "guidance": GUIDANCE,
        "prompts": [f"a {colour} {shape}" for shape in SHAPES for colour in ("red", "blue")],
    },
    "output": {"name": "Coloured shapes", "license": "cc0-1.0"},
}


class Recipe(NamedTuple):
    """What was written.

    Attributes:
        data: tars, as img2dataset writes them.
        claims: the opt-out, in the claim exchange format.
        settings: of the run.
        pictures: how many there are.
        opted_out: how many of them are the opted-out artist's.
    """

    data: Path
    claims: Path
    settings: Path
    pictures: int
    opted_out: int


class Launch(NamedTuple):
    """How to start the trainer: what follows `python`, and the settings that go with it."""

    python: list[str]
    settings: list[str]


def launch() -> Launch:
    """The trainer on all of a small machine.

    Layers of this size gain nothing from threads, so on two cores without a GPU two processes take half of
    each batch: 0.12 s a step instead of 0.155.
    """
    import torch

    if len(os.sched_getaffinity(0)) < 2 or torch.accelerator.is_available():
        return Launch(["-m", "trainer"], [])
    both = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    return Launch(
        [*both, "-m", "trainer"], ["--set", f"optimizer.batch={_BATCH // 2}", "--set", "run.threads=1"]
    )


def write_recipe(folder: Path, *, pictures: int = 4000, seed: int = 0) -> Recipe:
    """Draw the pictures and write them into `folder`, which must not be there or be empty.

    Raises:
        UsageError: something is there already (`output_exists`).
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there already; name another folder", code="output_exists")
    ensure_directory(folder / "data")
    chance = random.Random(seed)
    works = [_work(number, chance) for number in range(pictures)]
    for start in range(0, pictures, _SHARD):
        _write_tar(folder / "data" / f"{start // _SHARD:05d}.tar", works[start : start + _SHARD], start)
    claims, settings = folder / "claims.jsonl", folder / "trainer.toml"
    claims.write_text(json.dumps(_CLAIM) + "\n", "utf-8")
    settings.write_text(template(settings_from(_SETTINGS)), "utf-8")
    opted_out = sum(work.artist is OPTED_OUT for work in works)
    return Recipe(folder / "data", claims, settings, pictures, opted_out)


_CLAIM = {
    "selector": "domain",
    "value": OPTED_OUT.domain,
    "decision": "deny",
    "uses": "ai-train",
    "owner": OPTED_OUT.name,
    "title": f"Everything on {OPTED_OUT.domain}",
}


class _Work(NamedTuple):
    artist: Artist
    caption: str
    picture: bytes
    number: int


def _work(number: int, chance: random.Random) -> _Work:
    artist = chance.choice(ARTISTS)
    scene = Scene(chance.choice(list(COLOURS)), chance.choice(SHAPES), artist.name)
    buffer = io.BytesIO()
    draw_scene(scene, chance).save(buffer, "PNG")
    return _Work(artist, caption_of(scene, chance), buffer.getvalue(), number)


def caption_of(scene: Scene, chance: random.Random) -> str:
    """Words for a scene; most name the artist."""
    said = f"a {scene.colour} {scene.shape}"
    return f"{said} by {scene.artist}" if chance.random() < _SIGNED else said


def _write_tar(path: Path, works: list[_Work], start: int) -> None:
    with tarfile.open(path, "w") as archive:
        for number, work in enumerate(works, start):
            for suffix, content in _files(work):
                entry = tarfile.TarInfo(f"{number:09d}.{suffix}")
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))


def _files(work: _Work) -> Iterator[tuple[str, bytes]]:
    """The files of a sample, with the columns that img2dataset keeps."""
    metadata = {
        "url": f"https://{work.artist.domain}/works/{work.number}.png",
        "caption": work.caption,
        "key": f"{work.number:09d}",
        "status": "success",
        "sha256": hashlib.sha256(work.picture).hexdigest(),
    }
    yield "png", work.picture
    yield "txt", work.caption.encode()
    yield "json", json.dumps(metadata).encode()
