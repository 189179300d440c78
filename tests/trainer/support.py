"""Small data sets with real receipts, for the trainer's tests."""

import io
import json
import random
import tarfile
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, ImageDraw

from optout import keys
from optout.filter.atomic import sha256_of
from optout.receipt import PREDICATE_TYPE, STATEMENT_TYPE, sign_statement

COLOURS = ("red", "green", "blue", "yellow")


def picture(colour: str, size: tuple[int, int] = (24, 24), form: str = "PNG") -> bytes:
    made = Image.new("RGB", size, "white")
    ImageDraw.Draw(made).rectangle((4, 4, size[0] - 5, size[1] - 5), fill=colour)
    buffer = io.BytesIO()
    made.save(buffer, form)
    return buffer.getvalue()


def samples(count: int, seed: int = 0) -> list[tuple[str, bytes, str]]:
    """(key, picture, caption) of small coloured squares."""
    chance = random.Random(seed)
    colours = [chance.choice(COLOURS) for _ in range(count)]
    return [(f"{i:09d}", picture(colour), f"a {colour} square") for i, colour in enumerate(colours)]


def write_tar(path: Path, content: Iterable[tuple[str, bytes, str]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for key, data, caption in content:
            for suffix, part in (("png", data), ("txt", caption.encode())):
                entry = tarfile.TarInfo(f"{key}.{suffix}")
                entry.size = len(part)
                archive.addfile(entry, io.BytesIO(part))
            part = json.dumps(
                {"key": key, "caption": caption, "url": f"https://art.example/{key}.png"}
            ).encode()
            entry = tarfile.TarInfo(f"{key}.json")
            entry.size = len(part)
            archive.addfile(entry, io.BytesIO(part))
    return path


def write_receipt(
    folder: Path,
    key: keys.PrivateKey,
    *,
    use: str = "ai-train-generative",
    age: timedelta = timedelta(),
    settings: dict[str, Any] | None = None,
    checkpoint: dict[str, Any] | None = None,
    predicate: dict[str, Any] | None = None,
) -> Path:
    """A receipt as `optout filter` writes it, over everything that lies in `folder` now.

    What `predicate` holds replaces what it would say.
    """
    asked = (datetime.now(UTC) - age).isoformat(timespec="seconds")
    names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    names = [name for name in names if name != "receipt.json"]
    counts = {"rows": 9, "kept": 6, "dropped": 2, "errors": 1, "flagged": 0}
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": name, "digest": {"sha256": sha256_of(folder / name)}} for name in names],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "inputs": [],
            "snapshot": {"digest": "ab" * 32, "signed_by": [], "checkpoint": checkpoint, "thresholds": {}},
            "question": {"use": use, "at": asked, "min_grade": 0, "names": "flag"},
            "settings": {"mode": "drop", "keep_terms": False, "keep_errors": False, **(settings or {})},
            "counts": {**counts, "reasons": {"domain": 2}, "error_reasons": {"no_url": 1}, "outcomes": {}},
            "domains": {"domains": 1, "rows": 6, "top": [{"domain": "art.example", "rows": 6}]},
            "started": asked,
            "finished": asked,
            "tools": {},
            **(predicate or {}),
        },
    }
    (folder / "receipt.json").write_bytes(sign_statement(statement, key))
    return folder / "receipt.json"


class Ran(NamedTuple):
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


#: A model that is tiny enough for a test.
TINY = (
    "data.resolution=16",
    "model.channels=[8, 16]",
    "model.heads=2",
    "model.text_width=16",
    "model.text_layers=1",
    "model.text_tokens=8",
    "model.vocabulary=600",
    "optimizer.batch=4",
    "optimizer.warmup=1",
    "run.threads=1",
)


def tiny(*more: str) -> list[str]:
    """Arguments for a tiny model, and other settings on top."""
    return [argument for text in (*TINY, *more) for argument in ("--set", text)]
