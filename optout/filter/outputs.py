"""The files of one shard, which appear together: hidden while they are written, then named one by one.

Between the first name and the marker a shard is half there; the list that `begin` leaves tells the next run.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optout.errors import cannot_write
from optout.filter import atomic
from optout.filter.atomic import ensure_directory, sha256_of, sync
from optout.filter.kinds import Job
from optout.filter.marker import begin

__all__ = ["Outputs", "copy_file", "outputs_of"]


class Outputs:
    """Takes files by their names relative to the output directory."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._parts: dict[str, Path] = {}
        self._digests: dict[str, str] = {}
        self._waits = False

    def write(self, name: str, fill: Callable[[Path], Any], *, wait: bool = True) -> Any:
        """Let `fill` write the file that will be called `name`.

        Args:
            name: relative to the output directory.
            fill: is given the path to write to.
            wait: until it is on the disk; otherwise all such files are waited for together.

        Raises:
            OptoutError: the disk is full (`disk_full`) or the file cannot be written (`write_failed`).
        """
        part = self._part(name)
        try:
            result = fill(part)
            if wait:
                sync(part)
        except OSError as error:
            raise cannot_write(self._job.place(name), error) from error
        self._waits = self._waits or not wait
        self._digests[name] = sha256_of(part) if self._job.prove else ""
        return result

    def write_bytes(self, name: str, content: bytes) -> None:
        """Write `content` to the file that will be called `name`; raises as `write` does."""
        self.write(name, lambda part: part.write_bytes(content))

    def _part(self, name: str) -> Path:
        final = self._job.place(name)
        ensure_directory(final.parent)
        self._parts[name] = final.with_name(f".{final.name}.part")
        return self._parts[name]

    def appear(self) -> dict[str, str]:
        """Give all files their names; returns the SHA-256 of each, "" where none is asked for."""
        if self._waits:
            os.sync()
        places = {name: self._job.place(name) for name in self._parts}
        try:
            begin(self._job.out, self._parts)
            for name, part in self._parts.items():
                part.replace(places[name])
            for folder in {place.parent for place in places.values()}:
                sync(folder)
        except OSError as error:
            raise cannot_write(self._job.out, error) from error
        return dict(self._digests)

    def discard(self) -> None:
        """Remove what has no name yet."""
        for part in self._parts.values():
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


def copy_file(source: Path, part: Path) -> None:
    """Write what `source` holds to `part`."""
    with source.open("rb", buffering=0) as read, part.open("wb", buffering=0) as written:
        atomic.copy_file(read.fileno(), written.fileno())


@contextmanager
def outputs_of(job: Job) -> Iterator[Outputs]:
    """The outputs of a shard; whatever has not appeared when the block ends is removed."""
    ensure_directory(job.out.parent)
    outputs = Outputs(job)
    try:
        yield outputs
    finally:
        outputs.discard()
