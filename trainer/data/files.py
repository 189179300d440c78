"""Reading files that the receipt covers. What is handed on is what was checked."""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from optout.errors import BadInput, DoesNotHold

__all__ = ["CoveredFiles", "OpenFile"]


class OpenFile:
    """A file held open, so that another one put under its name changes nothing."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb", buffering=0)
        self.path = path
        self.sha256 = hashlib.file_digest(self._file, "sha256").hexdigest()
        self.size = os.fstat(self._file.fileno()).st_size

    def read(self, offset: int, size: int) -> bytes:
        """`size` bytes from `offset`; any number of threads may read at once."""
        return os.pread(self._file.fileno(), size, offset)

    def stream(self) -> BinaryIO:
        """The content from its beginning; closing it leaves this file open."""
        self._file.seek(0)
        return os.fdopen(self._file.fileno(), "rb", closefd=False)

    def close(self) -> None:
        self._file.close()


class CoveredFiles:
    """The files of a receipt.

    Args:
        folder: where they lie.
        digests: SHA-256 in hex by name.
    """

    def __init__(self, folder: Path, digests: Mapping[str, str]) -> None:
        self.folder = folder
        self.digests = digests

    def read(self, name: str) -> bytes:
        """A whole small file.

        Raises:
            DoesNotHold: it changed since it was filtered (`changed_file`).
            BadInput: it cannot be read (`unreadable_file`).
        """
        try:
            content = (self.folder / name).read_bytes()
        except OSError as error:
            raise self._unreadable(name, error) from None
        self._require(name, hashlib.sha256(content).hexdigest())
        return content

    def open(self, name: str) -> OpenFile:
        """A large file, read once in full to check it. Raises as `read` does."""
        try:
            file = OpenFile(self.folder / name)
        except OSError as error:
            raise self._unreadable(name, error) from None
        try:
            self._require(name, file.sha256)
        except DoesNotHold:
            file.close()
            raise
        return file

    def _unreadable(self, name: str, error: OSError) -> BadInput:
        return BadInput(f"cannot read {self.folder / name}: {error.strerror}", code="unreadable_file")

    def _require(self, name: str, digest: str) -> None:
        if digest != self.digests[name]:
            raise DoesNotHold(
                f"{self.folder / name} was changed while training: its SHA-256 is another than the "
                "receipt's; restore the file or filter the data again, then run the same command to go on",
                code="changed_file",
            )
