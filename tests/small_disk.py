"""A disk that really is full: a tmpfs of some kilobytes that only the processes started inside it see."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

__all__ = ["SmallDisk", "small_disk"]


@dataclass(frozen=True)
class SmallDisk:
    """A mounted tmpfs.

    Attributes:
        prefix: what to put before a command so that it finds the disk at its place.
        seen: where the test itself finds what lies there.
    """

    prefix: tuple[str, ...]
    place: Path
    seen: Path

    def grow(self, kilobytes: int) -> None:
        """Make room."""
        resize = ["mount", "-o", f"remount,size={kilobytes}k", str(self.place)]
        subprocess.run([*self.prefix, *resize], check=True)

    def left(self) -> list[str]:
        """Names of all that lies there, hidden or not."""
        return sorted(path.name for path in self.seen.rglob("*"))


@contextmanager
def small_disk(place: Path, kilobytes: int) -> Iterator[SmallDisk]:
    """Mount a tmpfs at `place` in a mount namespace of its own, as root or as whoever may have one."""
    place.mkdir(parents=True, exist_ok=True)
    own, join = ([], []) if os.geteuid() == 0 else (["--map-root-user"], ["--user", "--preserve-credentials"])
    script = 'mount -t tmpfs -o "size=$1" tmpfs "$0" && echo mounted && exec cat'
    keeper = subprocess.Popen(
        ["unshare", "--mount", *own, "sh", "-c", script, str(place), f"{kilobytes}k"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with keeper:
        assert keeper.stdout is not None
        if keeper.stdout.readline() != "mounted\n":
            pytest.skip("this system lets us mount nothing; tests with a limit on file sizes stand in for it")
        prefix = ("nsenter", f"--target={keeper.pid}", "--mount", *join, f"--wd={Path.cwd()}")
        yield SmallDisk(prefix, place, Path(f"/proc/{keeper.pid}/root", *place.parts[1:]))
