"""Completion markers: what makes a filter run resumable.

Beside the output `a.parquet` stands `.a.parquet.done.json`, written last, and `.a.parquet.domains.arrow` with
the domains of the rows kept. Hidden files, because Parquet readers given the directory pass them by. While
the files of a shard are given their names, and until the marker stands, `.a.tar.begun.json` lists them.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa

from optout.filter.atomic import sha256_of, write_atomic
from optout.filter.results import Counts, Described, ShardResult

__all__ = [
    "begin",
    "begun_files",
    "load_result",
    "marker_of",
    "read_domains",
    "remove_output",
    "still_holds",
    "write_marker",
]

VERSION = 2


def marker_of(output: Path) -> Path:
    """Where the marker of an output file is."""
    return output.with_name(f".{output.name}.done.json")


def _domains_of(output: Path) -> Path:
    return output.with_name(f".{output.name}.domains.arrow")


def _begun_of(output: Path) -> Path:
    return output.with_name(f".{output.name}.begun.json")


def begin(output: Path, names: Iterable[str]) -> None:
    """Note that files are about to get these names (relative to the output directory), for `begun_files`.

    Where that is the output alone nothing waits for the disk: a note that was lost half-way still says that
    the file beside it is of a filter run.
    """
    listed = sorted(names)
    content = json.dumps(listed)
    if len(listed) == 1:
        _write_note(_begun_of(output), content)
    else:
        write_atomic(_begun_of(output), lambda part: part.write_text(content, encoding="utf-8"))


def _write_note(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError:
        path.unlink(missing_ok=True)
        raise


def begun_files(output: Path) -> list[str]:
    """Names of files that a run killed half-way may have left; none where a marker tells of them."""
    try:
        return [str(name) for name in json.loads(_begun_of(output).read_bytes())]
    except (OSError, ValueError):
        return []


def write_marker(output: Path, result: ShardResult, domains: pa.Table | None) -> None:
    """Note that `output` is finished, and the domains of its rows if they were counted."""
    content = json.dumps({"version": VERSION, **asdict(result)}, indent=1, sort_keys=True)
    if domains is not None:
        write_atomic(_domains_of(output), partial(_write_domains, domains))
    write_atomic(marker_of(output), lambda part: part.write_text(content, encoding="utf-8"))
    _begun_of(output).unlink(missing_ok=True)


def _write_domains(domains: pa.Table, part: Path) -> None:
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.OSFile(str(part), "wb") as sink, pa.ipc.new_file(sink, domains.schema, options=options) as file:
        file.write_table(domains)


def read_domains(output: Path) -> pa.Table:
    """The domains counted for `output`, a table of `COUNT_SCHEMA`."""
    with pa.OSFile(str(_domains_of(output)), "rb") as source:
        return pa.ipc.open_file(source).read_all()


def load_result(output: Path) -> ShardResult | None:
    """What the marker of `output` says; None if there is none that can be read."""
    try:
        content: dict[str, Any] = json.loads(marker_of(output).read_bytes())
        if content.pop("version") != VERSION:
            return None
        for key in ("inputs", "outputs"):
            content[key] = {name: Described(*facts) for name, facts in content[key].items()}
        content |= {"counts": Counts(**content["counts"]), "named": tuple(content["named"])}
        result = ShardResult(**content)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return result if not result.proven or _domains_of(output).exists() else None


def still_holds(result: ShardResult, inputs: Mapping[str, Path], outputs: Path) -> bool:
    """Whether inputs and outputs are still the files that the marker speaks of.

    Args:
        result: of an earlier run.
        inputs: the shard's files of today, by name.
        outputs: the output directory.
    """
    if set(inputs) != set(result.inputs):
        return False
    pairs: Iterator[tuple[Path, Described]] = (
        (path, described)
        for found, told in (
            (inputs, result.inputs),
            ({name: outputs / name for name in result.outputs}, result.outputs),
        )
        for name, described in told.items()
        for path in (found[name],)
    )
    return all(_is_same(path, described) for path, described in pairs)


def remove_output(output: Path, names: Iterable[str], root: Path) -> None:
    """Remove the files `names` below `root`, and all that stands beside the output."""
    for name in names:
        (root / name).unlink(missing_ok=True)
    for path in (marker_of(output), _domains_of(output), _begun_of(output)):
        path.unlink(missing_ok=True)


def _is_same(path: Path, described: Described) -> bool:
    """Same size and time; where only the time differs (the file was copied) the content decides."""
    try:
        found = path.stat()
    except OSError:
        return False
    if found.st_size != described.bytes:
        return False
    return found.st_mtime_ns == described.mtime_ns or sha256_of(path) == described.sha256
