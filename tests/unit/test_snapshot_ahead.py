"""Reading ahead: what a long run will search is asked for at once."""

import os
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from optout.snapshot.ahead import WINDOW, read_ahead
from tests.unit.snapshot_support import built, claim


def in_memory(path: Path) -> int:
    """How many windows of a file can be read without the disk."""
    held = 0
    with path.open("rb") as file:
        for start in range(0, path.stat().st_size, WINDOW):
            try:
                held += os.preadv(file.fileno(), [bytearray(1)], start, os.RWF_NOWAIT)
            except BlockingIOError:
                continue
    return held


def test_a_mapped_file_is_read_without_being_touched(tmp_path: Path) -> None:
    path = tmp_path / "table"
    path.write_bytes(bytes(24 * WINDOW))
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    if in_memory(path):
        pytest.skip("this file system keeps its files in memory")
    mapped = np.frombuffer(pa.memory_map(str(path)).read_buffer(), np.uint64)
    read_ahead(mapped[1000:])
    until = time.monotonic() + 60
    while in_memory(path) < 24 and time.monotonic() < until:
        time.sleep(0.01)
    assert in_memory(path) == 24


def test_only_many_urls_are_worth_it(tmp_path: Path) -> None:
    urls = built(tmp_path / "urls", *(claim("url", f"example.org/{number}.jpg") for number in range(9)))
    assert [urls.expect(count) for count in (0, 1, 10**9)] == [False, True, True]
    names = built(tmp_path / "names", claim("name", "greta garbo"))
    assert not names.expect(10**9)
