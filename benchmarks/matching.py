"""Search by Hamming distance beside faiss: 64-bit codes within 8 bits, PDQ within 31; 100 million in files.

    python -m benchmarks.matching [--size N] [--large N]

Codes are uniform; half of the queries are copies of codes with some bits changed. One core, CPU time; every
answer of ours is compared with the peer's.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import common

common.one_core()

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.hamming import long, short
from optout.hamming.found import Found
from optout.snapshot.files import write_batch
from optout.snapshot.pictures import PictureTables, phash_files, picture_tables
from optout.snapshot.segment import read_columns

U64 = npt.NDArray[np.uint64]

_ROUNDS = 3
_OURS, _FLAT, _MULTI = 20_000, 100, 20
_LARGE_OURS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=10_000_000, help="codes beside faiss")
    parser.add_argument(
        "--large", type=int, default=100_000_000, help="codes in mapped files; 0 leaves it out"
    )
    arguments = parser.parse_args()
    faiss.omp_set_num_threads(1)
    report = common.Report("Search by Hamming distance, one core, CPU time")
    short_codes(report, arguments.size)
    pdq_codes(report, arguments.size)
    if arguments.large:
        mapped(report, arguments.large)
    return 0 if report.show() else 1


def codes_of(size: int, words: int) -> U64:
    """uint64[size, words], uniform."""
    return np.random.default_rng(1).integers(0, 2**64, (size, words), dtype=np.uint64)


def queries_of(code: U64, count: int, most: int) -> U64:
    """Half of them near some code, by up to `most` bits and a few more; half anywhere."""
    rng = np.random.default_rng(2)
    queries = code[rng.integers(0, len(code), count)].copy()
    for _ in range(most + 2):
        chosen = np.flatnonzero(rng.random(count) < 0.8)
        word, bit = rng.integers(0, code.shape[1], len(chosen)), rng.integers(0, 64, len(chosen), np.uint64)
        queries[chosen, word] ^= np.uint64(1) << bit
    queries[::2] = rng.integers(0, 2**64, queries[::2].shape, np.uint64)
    return queries


def short_codes(report: common.Report, size: int) -> None:
    code = codes_of(size, 1)
    index, order = short.make_index(np.sort(code[:, 0])), np.argsort(code[:, 0], kind="stable")
    queries = queries_of(code, _OURS, 8)
    flat = faiss.IndexBinaryFlat(64)
    flat.add(octets(code))
    # Four chunks of 16 bits, two of them flipped in each: exact up to 11 bits.
    multi = faiss.IndexBinaryMultiHash(64, 4, 16)
    multi.nflip = 2
    multi.add(octets(code))
    ours, flat_s, multi_s = in_turn(
        (lambda: short.search(index, queries[:, 0], 8), _OURS),
        (lambda: flat.range_search(octets(queries[:_FLAT]), 9), _FLAT),
        (lambda: multi.range_search(octets(queries[:_MULTI]), 9), _MULTI),
    )
    require_same(
        short.search(index, queries[:_FLAT, 0], 8), flat.range_search(octets(queries[:_FLAT]), 9), order
    )
    require_same(
        short.search(index, queries[:_MULTI, 0], 8), multi.range_search(octets(queries[:_MULTI]), 9), order
    )
    name = f"64 bits, radius 8, {size / 1e6:g} M"
    report.add(f"{name}, queries/s beside IndexBinaryFlat", f"{1 / ours:,.0f}", ratio=flat_s / ours, aim=120)
    report.add(
        f"{name}, beside IndexBinaryMultiHash 4x16", f"{1 / ours:,.0f}", ratio=multi_s / ours, aim=1000
    )
    report.add(f"{name}, bytes/entry", f"{size_of(index) / size:.1f} (faiss 8, MultiHash about 65)")


def pdq_codes(report: common.Report, size: int) -> None:
    code = codes_of(size, 4)
    index = long.make_index(code)
    queries = queries_of(code, _OURS // 4, 31)
    flat = faiss.IndexBinaryFlat(256)
    flat.add(octets(code))
    few = queries[: _FLAT // 2]
    ours, theirs = in_turn(
        (lambda: long.search(index, queries, 31), len(queries)),
        (lambda: flat.range_search(octets(few), 32), len(few)),
    )
    require_same(long.search(index, few, 31), flat.range_search(octets(few), 32), np.arange(size))
    name = f"PDQ, radius 31, {size / 1e6:g} M"
    report.add(f"{name}, queries/s beside IndexBinaryFlat", f"{1 / ours:,.0f}", ratio=theirs / ours, aim=100)
    report.add(f"{name}, bytes/entry", f"{size_of(index) / size:.1f} (faiss 32)")


def mapped(report: common.Report, size: int) -> None:
    """A table of bare pHashes as a snapshot holds it, opened and searched in its files."""
    folder = common.HOME / f"phash-{size}"
    if not folder.exists():
        rng = np.random.default_rng(3)
        started = time.process_time()
        files = phash_files(
            rng.integers(0, 2**64, size, np.uint64), rng.integers(0, 1_000_000, size, np.uint32)
        )
        for stem, columns in files.items():
            write_batch(folder.with_suffix(".part") / f"{stem}.arrow", columns)
        folder.with_suffix(".part").rename(folder)
        report.add(f"{size / 1e6:g} M mapped, built, s of CPU", f"{time.process_time() - started:.0f}")
    started = time.perf_counter()
    table = opened(folder).phash
    seconds = time.perf_counter() - started
    assert table is not None
    queries = queries_of(table.lookup.code[:, None], _LARGE_OURS, 8)[:, 0]
    found = short.search(table.lookup, queries, 8)  # brings the files into memory
    (ours,) = in_turn((lambda: short.search(table.lookup, queries, 8), len(queries)))
    held = sum(path.stat().st_size for path in folder.iterdir())
    name = f"64 bits, radius 8, {size / 1e6:g} M mapped"
    report.at_least(f"{name}, {len(found.query):,} found", 1 / ours, 3000, "queries/s")
    report.at_most(f"{name}, on disk", held / size, 30, "bytes/entry")
    report.at_most(f"{name}, opened", seconds * 1000, 50, "ms")


def opened(folder: Path) -> PictureTables:
    """What `open_snapshot` does with these files."""
    columns = {}
    for stem in sorted(path.stem for path in folder.iterdir()):
        rows = pa.ipc.open_file(pa.memory_map(str(folder / f"{stem}.arrow"))).get_batch(0).num_rows
        columns[stem] = read_columns(folder / f"{stem}.arrow", rows, stem)
    return picture_tables(columns)


def in_turn(*works: tuple[Callable[[], Any], int]) -> list[float]:
    """Median CPU seconds a query of each work, the works taking turns."""
    times: list[list[float]] = [[] for _ in works]
    for _ in range(_ROUNDS):
        for (work, queries), taken in zip(works, times, strict=True):
            started = time.process_time()
            work()
            taken.append((time.process_time() - started) / queries)
    return [float(np.median(taken)) for taken in times]


def octets(code: U64) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(code).view(np.uint8).reshape(len(code), -1)


def size_of(index: Any) -> int:
    """Bytes of all arrays of an index."""
    parts = [part for column in index for part in (column if isinstance(column, tuple) else (column,))]
    return sum(part.nbytes for part in parts)


def require_same(ours: Found, theirs: Any, order: npt.NDArray[np.int64]) -> None:
    """Exit unless both found the same pairs at the same distances; `order[entry]` is faiss's number."""
    bounds, distance, entry = theirs
    query = np.repeat(np.arange(len(bounds) - 1), np.diff(bounds.astype(np.int64)))
    expected = sorted(zip(query.tolist(), entry.tolist(), distance.astype(int).tolist(), strict=True))
    found = sorted(zip(ours.query.tolist(), order[ours.entry].tolist(), ours.distance.tolist(), strict=True))
    if found != expected:
        sys.exit(f"found {len(found)} pairs, faiss {len(expected)}, not the same")


if __name__ == "__main__":
    sys.exit(main())
