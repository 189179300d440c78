"""What children say: kept in log files and, line by line under the child's name, shown to the person."""

import os
import sys
import threading
from pathlib import Path
from typing import IO

__all__ = ["Output", "tail"]

_MAX_LOG = 8 << 20
_COLOURS = ("36", "32", "33", "35", "34")


class Output:
    """Gives each child a file to write to.

    Args:
        folder: where `<name>.log` is kept; one that has grown large is begun anew.
        shown: also print the lines.
    """

    def __init__(self, folder: Path, *, shown: bool) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder
        self._shown = shown
        self._threads: list[threading.Thread] = []
        self._colour = sys.stdout.isatty()

    def log(self, name: str) -> IO[bytes]:
        """The log of `name` and nothing else, for children that chatter."""
        path = self.folder / f"{name}.log"
        if path.exists() and path.stat().st_size > _MAX_LOG:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab", buffering=0)

    def shared(self, name: str) -> IO[bytes]:
        """The log of `name` and, if lines are shown, the person's terminal."""
        if not self._shown:
            return self.log(name)
        reader, writer = os.pipe()
        thread = threading.Thread(target=self._copy, args=(name, os.fdopen(reader, "rb")), daemon=True)
        thread.start()
        self._threads.append(thread)
        return os.fdopen(writer, "wb", buffering=0)

    def close(self) -> None:
        """Wait until the last lines of ended children are through."""
        for thread in self._threads:
            thread.join(1)

    def _copy(self, name: str, reader: IO[bytes]) -> None:
        prefix = f"{name:<8}| "
        if self._colour:
            prefix = f"\x1b[{_COLOURS[len(self._threads) % len(_COLOURS)]}m{prefix}\x1b[0m"
        with reader, self.log(name) as log:
            for line in reader:
                log.write(line)
                sys.stdout.write(prefix + line.decode(errors="replace").rstrip("\n") + "\n")
                sys.stdout.flush()


def tail(path: Path, lines: int = 15) -> str:
    """The last lines of a log, for an error message."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
