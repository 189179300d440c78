"""Tars as img2dataset writes them, made of a few samples."""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Files = Mapping[str, bytes]


def picture(number: int) -> bytes:
    """Bytes that no other number has; not a picture that anything could decode."""
    return b"\xff\xd8\xff" + hashlib.sha256(str(number).encode()).digest() * (number % 40 + 1)


def sample(number: int, url: str | None, caption: str = "", **more: Any) -> dict[str, bytes]:
    """The three files of a sample, by extension."""
    stated = {"url": url, "caption": caption, "key": f"{number:09d}", "status": "success", **more}
    return {"jpg": picture(number), "txt": caption.encode(), "json": json.dumps(stated).encode()}


def write_tar(path: Path, samples: Mapping[str, Files], **options: Any) -> Path:
    """A tar of samples by key, each a mapping of extensions to contents."""
    members = (
        (f"{key}.{extension}", body) for key, files in samples.items() for extension, body in files.items()
    )
    return write_members(path, members, **options)


def write_members(path: Path, members: Iterable[tuple[str, bytes]], **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **options) as archive:
        for name, body in members:
            member = tarfile.TarInfo(name)
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return path


def write_shard(folder: Path, urls: list[str | None], captions: list[str], *, name: str = "00000") -> Path:
    """A whole shard: tar, sidecar (rows in order of completion, one download failed), statistics, index."""
    samples = {f"{n:09d}": sample(n, url, captions[n]) for n, url in enumerate(urls)}
    tar = write_tar(folder / f"{name}.tar", samples)
    keys = [*reversed(samples), "000000099"]
    rows = [dict(json.loads(samples[key]["json"])) for key in keys[:-1]]
    rows.append(
        {
            "url": "https://gone.example/x.jpg",
            "caption": "gone",
            "key": keys[-1],
            "status": "failed_to_download",
        }
    )
    columns = {column: [row[column] for row in rows] for column in ("url", "caption", "key", "status")}
    pq.write_table(pa.table({**columns, "width": range(len(rows))}), tar.with_suffix(".parquet"))
    stats = {
        "count": len(rows),
        "successes": len(urls),
        "failed_to_download": 1,
        "status_dict": {"success": len(urls), "404": 1},
    }
    (folder / f"{name}_stats.json").write_text(json.dumps(stats))
    tar.with_suffix(".idx").write_text(index_of(tar))
    return tar


def index_of(path: Path) -> str:
    """The index of a tar, as DALI's wds2idx writes it: made by reading the tar."""
    lines: dict[str, list[str]] = {}
    with tarfile.open(path) as archive:
        for member in archive:
            key, extension = member.name.split(".", 1)
            lines.setdefault(key, []).append(f"{extension} {member.offset_data} {member.size} {member.name}")
    return "".join([f"v1.2 {len(lines)}\n", *(" ".join(parts) + "\n" for parts in lines.values())])


def contents(path: Path) -> dict[str, bytes]:
    """What is in a tar, by name, in order."""
    with tarfile.open(path) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]


def keys(path: Path) -> list[str]:
    """The keys of a tar, in order."""
    return list(dict.fromkeys(name.split(".", 1)[0] for name in contents(path)))
