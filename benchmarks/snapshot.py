"""Building, opening and asking a snapshot of millions of locators.

python -m benchmarks.snapshot [millions of URLs] [rows asked about, in millions]
"""

import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import common
from optout import keys
from optout.engine import Items, Question
from optout.exchange import read_claims
from optout.locators import probe_keys
from optout.snapshot import Snapshot, build_snapshot, inspect_snapshot, open_snapshot
from optout.snapshot.segment import LOCATOR_KINDS
from optout.snapshot.tables import find
from optout.words import SelectorKind, Use

BATCH = 1 << 14


def _tables(claims: Path) -> Iterator[pa.Table]:
    for batch in read_claims(claims):
        if batch.rejected:
            raise ValueError(f"{claims}: {batch.rejected[0]}")
        yield batch.claims


def _key() -> keys.PrivateKey:
    folder = common.HOME / "keys"
    if not (folder / "private.pem").exists():
        keys.generate(folder)
    return keys.load_private(folder / "private.pem")


def build(claims: Path, out: Path) -> None:
    """Build on one core and print seconds and peak memory in GiB; runs in a process of its own."""
    common.one_core()
    start, cpu = time.perf_counter(), time.process_time()
    build_snapshot(_tables(claims), out, private_key=_key())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(time.process_time() - cpu, time.perf_counter() - start, peak)


def build_apart(claims: Path, out: Path) -> tuple[float, float, float]:
    """Seconds of CPU time, elapsed seconds and peak GiB of a build in a fresh process."""
    shutil.rmtree(out, ignore_errors=True)
    _key()
    command = [sys.executable, "-m", "benchmarks.snapshot", "--build", str(claims), str(out)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    cpu, elapsed, peak = map(float, said.split())
    return cpu, elapsed, peak


def probe_rate(snapshot: Snapshot, urls: pa.Array) -> float:
    """Rows/s of the search alone, for keys that are made already."""
    made = [
        probe_keys(urls.slice(start, BATCH), sip_key=snapshot.sip_key, kinds=snapshot.url_kinds)
        for start in range(0, len(urls), BATCH)
    ]
    tables = [s.tables[k] for s in snapshot.segments for k in LOCATOR_KINDS if k in s.tables]
    kinds = [k for s in snapshot.segments for k in LOCATOR_KINDS if k in s.tables]

    def search() -> None:
        for probes in made:
            for kind, table in zip(kinds, tables, strict=True):
                find(probes.kind, int(kind), probes.key, table)

    search()
    return len(urls) / common.median_seconds(search)


def judge_rate(snapshot: Snapshot, urls: pa.Array) -> float:
    """Rows/s of the whole judgement, strings to verdicts."""
    items, question = Items(len(urls), url=urls), Question(Use.AI_TRAIN)
    snapshot.judge(items.slice(0, BATCH), question)
    return len(urls) / common.median_seconds(lambda: snapshot.judge(items, question))


def call_seconds(snapshot: Snapshot, urls: pa.Array, size: int) -> float:
    """Median seconds of judging `size` items in one call."""
    items, question = Items(size, url=urls.slice(0, size)), Question(Use.AI_TRAIN)
    return common.median_seconds(lambda: snapshot.judge(items, question), runs=50)


def open_seconds(path: Path) -> float:
    """Median seconds of opening with the signature checked."""
    trust = [_key().public]
    return common.median_seconds(lambda: open_snapshot(path, trust=trust), 9, time.perf_counter)


def measure(millions: float = 10, asked: float = 5) -> dict[str, Any]:
    """Build a snapshot of `millions` of URLs (and 100,000 domains) and ask it about `asked` million rows."""
    claims = common.claims(int(millions * 1e6))
    out = claims.with_suffix(".measured")
    cpu, elapsed, peak = build_apart(claims, out)
    told = inspect_snapshot(out)
    common.one_core()
    snapshot = open_snapshot(out)
    rows = pq.read_table(common.dataset(int(asked * 1e6)), columns=["URL"])["URL"].combine_chunks()
    urls = rows.chunk(0) if isinstance(rows, pa.ChunkedArray) else rows
    hits = np.count_nonzero(snapshot.judge(Items(len(urls), url=urls), Question(Use.AI_TRAIN)).outcome)
    return {
        "build_s": cpu,
        "elapsed_s": elapsed,
        "build_gib": peak,
        "bytes_per_url": told["bytes"] / told["selectors"][SelectorKind.URL.label],
        "open_ms": open_seconds(out) * 1e3,
        "probe_rows_s": probe_rate(snapshot, urls),
        "judge_rows_s": judge_rate(snapshot, urls),
        "one_item_us": call_seconds(snapshot, urls, 1) * 1e6,
        "thousand_items_ms": call_seconds(snapshot, urls, 1000) * 1e3,
        "matched": hits / len(urls),
    }


def main(arguments: list[str]) -> int:
    """Measure and compare with the aims; exit 1 when one falls short."""
    if arguments[:1] == ["--build"]:
        build(Path(arguments[1]), Path(arguments[2]))
        return 0
    millions = float(arguments[0]) if arguments else 10
    found = measure(millions, *(float(argument) for argument in arguments[1:2]))
    report = common.Report(f"snapshot of {millions:g} million URLs and 100,000 domains, one core")
    report.at_most("build from Parquet, CPU time", found["build_s"], 6 * millions, "s")
    report.add("the same, elapsed", f"{found['elapsed_s']:.1f} s")
    report.at_most("peak memory of the build", found["build_gib"], max(4, 0.24 * millions), "GiB")
    report.at_most("on disk a URL", found["bytes_per_url"], 24, "bytes")
    report.at_most("open, signature checked", found["open_ms"], 50, "ms")
    report.at_least("search alone", found["probe_rows_s"] / 1e6, 6, "M rows/s")
    report.at_least("whole judgement", found["judge_rows_s"] / 1e6, 2 if millions <= 10 else 1, "M rows/s")
    report.at_most("judge one item", found["one_item_us"], 300, "µs")
    report.at_most("judge a thousand items", found["thousand_items_ms"], 5, "ms")
    report.add("rows that matched", f"{found['matched']:.1%}")
    return 0 if report.show() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
