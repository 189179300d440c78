"""Opting out of pictures themselves: a creator's own, and a data set in which copies of them turn up."""

import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image
from rich.table import Table

from demo.browser import Visitor
from demo.people import Api
from demo.pictures import COPIES, as_jpeg, caption_of, scene
from demo.service import Registry
from demo.tools import CONSOLE, HOME, keys_to_trust, optout, step
from optout.filter.atomic import ensure_directory

__all__ = ["PAINTER", "claim_pictures", "filter_gallery"]

PAINTER = "Akua Mensah-Bonsu"
#: Scenes by whose they are: the painter's own, and everybody else's.
OWN, OTHERS = range(5), range(100, 220)
_ORIGINALS, _FOUND, _KEPT = HOME / "paintings", HOME / "gallery", HOME / "gallery-filtered"


class Sample(NamedTuple):
    """A picture of the data set.

    Attributes:
        url: where it was found.
        content: the file.
        scene: what it shows.
        made: what was done to the original, by its name in `demo.pictures.COPIES`; "" for an original.
    """

    url: str
    content: bytes
    scene: int
    made: str


def claim_pictures(registry: Registry) -> int:
    """The painter hashes her pictures at home, and sends the hashes alone; how many."""
    ensure_directory(_ORIGINALS)
    paths = [_ORIGINALS / f"{number}.jpg" for number in OWN]
    for number, path in zip(OWN, paths, strict=True):
        path.write_bytes(as_jpeg(scene(number)))
    visitor = Visitor(registry.web, "painter@example.org")
    visitor.sign_up(PAINTER)
    api = Api(registry.web, visitor.make_key("studio script", ["claims:write", "claims:read"]))
    selectors = [{"kind": "picture", "value": text} for text in _fingerprints(paths)]
    api.post("claims", {"decision": "deny", "uses": ["ai-train"], "selectors": selectors})
    return len(selectors)


def _fingerprints(paths: list[Path]) -> list[str]:
    command = [sys.executable, "-m", "optout", "hash", *map(str, paths), "--json"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    return [json.loads(line)["fingerprint"] for line in done.stdout.splitlines()]


def filter_gallery(snapshot: Path) -> None:
    """Filter a small WebDataset that somebody gathered on other sites, and show what was found in it."""
    with step(
        f"{len(OTHERS) + len(OWN) * len(COPIES)} pictures gathered on other sites, as img2dataset writes them"
    ):
        samples = _write_data()
    with step("The pictures themselves are filtered, by their hashes"):
        out = ("--out", _KEPT, "--key", HOME / "keys" / "private.pem")
        summary = optout("filter", _FOUND, "--snapshot", snapshot, *out)
        kept = _addresses(_KEPT)
    gone = [sample for sample in samples if sample.url not in kept]
    verified = optout("verify", _KEPT / "receipt.json", *keys_to_trust())
    _report(summary, gone, samples)
    CONSOLE.print(f"The receipt {'holds' if verified['holds'] else 'does not hold'}.")
    _show_example(snapshot, next(sample for sample in gone if sample.made == "mirrored"))


def _write_data() -> list[Sample]:
    """A tar as img2dataset writes it, with copies of the painter's pictures among everybody's."""
    ensure_directory(_FOUND)
    samples = sorted([*_others(), *_copies()], key=lambda sample: hashlib.sha256(sample.content).digest())
    with tarfile.open(_FOUND / "00000.tar", "w") as archive:
        for number, sample in enumerate(samples):
            key, caption = f"{number:09d}", caption_of(sample.scene)
            metadata = {"key": key, "url": sample.url, "caption": caption, "status": "success"}
            _add(archive, f"{key}.jpg", sample.content)
            _add(archive, f"{key}.txt", caption.encode())
            _add(archive, f"{key}.json", json.dumps(metadata).encode())
    return samples


def _others() -> Iterator[Sample]:
    for number in OTHERS:
        yield Sample(f"https://photos.example/{number}.jpg", as_jpeg(scene(number, 256, 192)), number, "")


def _copies() -> Iterator[Sample]:
    """Each of the painter's pictures in every form that the web makes of pictures."""
    for number in OWN:
        for name, make in COPIES.items():
            address = hashlib.sha256(f"{number} {name}".encode()).hexdigest()[:12]
            yield Sample(f"https://pinboard.example/{address}.jpg", make(scene(number)), number, name)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))


def _addresses(folder: Path) -> set[str]:
    """Where the samples of the tars in `folder` were found."""
    found = set()
    for path in folder.glob("*.tar"):
        with tarfile.open(path) as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                if content is not None and entry.name.endswith(".json"):
                    found.add(json.load(content)["url"])
    return found


def _report(summary: dict[str, Any], gone: list[Sample], samples: list[Sample]) -> None:
    there, found = (Counter(sample.made for sample in some) for some in (samples, gone))
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("pictures", f"{summary['rows']:,}")
    table.add_row("kept", f"[green]{summary['kept']:,}[/]")
    table.add_row(f"dropped, {PAINTER} claims them", f"[bold]{summary['dropped']:,}[/]")
    for name in COPIES:
        table.add_row(f"  copies {name}", f"{found[name]} of {there[name]}")
    table.add_row("pictures of others dropped", f"{found['']:,}")
    CONSOLE.print()
    CONSOLE.print(table)


def _show_example(snapshot: Path, sample: Sample) -> None:
    """A copy beside its original, and how the registry knew it."""
    copy = HOME / "copy.jpg"
    copy.write_bytes(sample.content)
    reason = optout("check", copy, "--snapshot", snapshot)["results"][0]["reasons"][0]
    original = scene(sample.scene)
    found = Image.open(io.BytesIO(sample.content)).resize(original.size)
    both = Image.new("RGB", (2 * original.width + 8, original.height), "white")
    both.paste(original, (0, 0))
    both.paste(found, (original.width + 8, 0))
    both.save(HOME / "copy.png")
    copy.unlink()
    CONSOLE.print("One of the pictures left out, and nobody claimed its address:")
    CONSOLE.print(f"[bold]{sample.url}[/]", soft_wrap=True)
    how = f"{reason['orientation']}; {reason['distance']} of 256 bits of the hash differ"
    CONSOLE.print(f"It is a picture of {reason['owner']}, {how}.")
    CONSOLE.print(f"Both are side by side in {os.path.relpath(HOME / 'copy.png')}.\n", soft_wrap=True)
