"""Compiles the library's kernels, once and before anything is tested; run by tests/conftest.py.

Otherwise each worker would compile them, and the processes that tests start, within those tests' time limits.
"""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from optout.engine import Question
from optout.filter import filter_dataset
from optout.words import Use
from tests.unit.snapshot_support import KEY, built, claim

ROW = {"URL": "https://i0.wp.com/example.org/a-300x200.jpg?w=1", "TEXT": "by Ada Lindqvist", "md5": "cd" * 16}
CLAIMS = [
    claim("url", "example.org/a.jpg"),
    claim("prefix", "example.org/gallery"),
    claim("domain", "example.net"),
    claim("name", "ada lindqvist"),
    claim("md5", "cd" * 16),
]


def warm() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.Table.from_pylist([ROW]), Path(folder, "rows.parquet"))
        filter_dataset(
            Path(folder, "rows.parquet"),
            Path(folder, "out"),
            snapshot=built(Path(folder, "snapshot"), *CLAIMS),
            question=Question(use=Use.AI_TRAIN),
            key=KEY,
        )


if __name__ == "__main__":
    warm()
