"""What the benchmarks share: one core, medians, generated data, and a report with aims beside figures."""

import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

# As the command does, for ours and for the peers: read when Arrow is loaded.
os.environ.setdefault("MIMALLOC_PURGE_DELAY", "-1")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from demo import laion

CONSOLE = Console(width=120)
HOME = Path(os.environ.get("OPTOUT_BENCH_DIR", "var/bench"))

# Rows show a tenth of these works' addresses; hosts above the generator's last one are claimed but never met.
WORKS_SHOWN = 100_000_000
FIRST_CLAIMED_HOST = 380_000

_LONG_SECONDS = 60.0


@dataclass(frozen=True)
class Line:
    """One figure of a report.

    Attributes:
        name: what was measured.
        value: the figure with its unit, as text.
        ratio: how the figure compares (already divided so that more is better), or None.
        aim: least ratio wanted, or None.
        holds: whether the aim is met; None where nothing was promised.
    """

    name: str
    value: str
    ratio: float | None = None
    aim: float | None = None
    holds: bool | None = None


class Report:
    """Collects lines and prints them as one table."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[Line] = []

    def add(self, name: str, value: str, *, ratio: float | None = None, aim: float | None = None) -> None:
        holds = None if ratio is None or aim is None else ratio >= aim
        self.lines.append(Line(name, value, ratio, aim, holds))

    def at_most(self, name: str, figure: float, limit: float, unit: str) -> None:
        """A figure with an upper bound, shown as it is."""
        self.lines.append(Line(name, f"{figure:,.4g} {unit} (aim ≤ {limit:,g})", holds=figure <= limit))

    def at_least(self, name: str, figure: float, limit: float, unit: str) -> None:
        """A figure with a lower bound, shown as it is."""
        self.lines.append(Line(name, f"{figure:,.4g} {unit} (aim ≥ {limit:,g})", holds=figure >= limit))

    def show(self) -> bool:
        """Print the table; True when every aim was met."""
        table = Table(title=self.title, title_justify="left", header_style="bold")
        for column in ("measured", "value", "times the peer", "aim", ""):
            table.add_column(column, justify="left" if column in ("measured", "") else "right")
        for line in self.lines:
            mark = {None: "", True: "[green]holds[/]", False: "[red]falls short[/]"}[line.holds]
            ratio = "" if line.ratio is None else f"{line.ratio:.2f}"
            table.add_row(line.name, line.value, ratio, "" if line.aim is None else f"{line.aim:g}", mark)
        CONSOLE.print(table)
        return all(line.holds is not False for line in self.lines)


def one_core() -> None:
    """Pin this process, and what it starts, to one core; tell every library to use one thread."""
    for name in ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "NUMBA_NUM_THREADS", "ARROW_IO_THREADS"):
        os.environ[name] = "1"
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    pa.set_cpu_count(1)


def median_seconds(
    work: Callable[[], object], runs: int = 3, clock: Callable[[], float] = time.process_time
) -> float:
    """Median seconds of `runs` calls, of CPU time unless told otherwise; of fewer once they took a minute."""
    times: list[float] = []
    while len(times) < runs and sum(times) < _LONG_SECONDS:
        start = clock()
        work()
        times.append(clock() - start)
    return statistics.median(times)


class Spent(NamedTuple):
    """Seconds of one call: of this process's CPU time, and of the clock on the wall."""

    cpu: float
    elapsed: float


def in_rounds(
    works: Mapping[str, Callable[[], object]], rounds: int, *, before: Callable[[], object] = int
) -> dict[str, list[Spent]]:
    """Call each work in turn, `rounds` times over: what else the machine does meets all alike.

    `before` is called before each of them, and does not count.
    """
    spent: dict[str, list[Spent]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            # What one work leaves behind is not for the next to sweep up.
            before()
            gc.collect()
            cpu, clock = time.process_time(), time.perf_counter()
            work()
            spent[name].append(Spent(time.process_time() - cpu, time.perf_counter() - clock))
    return spent


def median_ratio(theirs: Sequence[float], ours: Sequence[float]) -> float:
    """How many times ours theirs took; the median over the rounds."""
    return statistics.median(their / our for their, our in zip(theirs, ours, strict=True))


# A child's peak starts at what its parent held when it was started: so a small process starts it.
_STARTER = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def peak_gib_of(command: Sequence[str]) -> float:
    """Largest resident size of `command`, in GiB; mapped files count as far as they were touched.

    Raises:
        CalledProcessError: the command failed.
    """
    starter = [sys.executable, "-S", "-c", _STARTER, *command]
    return int(subprocess.run(starter, check=True, stdout=subprocess.PIPE).stdout) / 2**20


def dataset(rows: int, *, group: int = 500_000) -> Path:
    """One Parquet file of LAION-like rows, generated once and kept."""
    path = HOME / f"rows-{rows}.parquet"
    if not path.exists():
        HOME.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        laion.write_rows(part, rows, settings=laion.Rows(works=WORKS_SHOWN), group=group)
        part.rename(path)
    return path


def claims(urls: int, domains: int = 100_000, *, owners: int = 2_000) -> Path:
    """A claim exchange file (Parquet): domains, then works `0..urls`, of many owners; made once and kept."""
    path = HOME / f"claims-{urls}.parquet"
    if path.exists():
        return path
    HOME.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    first = _claim_table(
        "domain", laion.hosts_of(np.arange(domains, dtype=np.uint64) + FIRST_CLAIMED_HOST), 0, owners
    )
    with pq.ParquetWriter(part, first.schema, compression="snappy") as writer:
        writer.write_table(first)
        for start in range(0, urls, 1_000_000):
            works = np.arange(start, min(start + 1_000_000, urls), dtype=np.uint64)
            # As many rows are hit at every size: works beyond a tenth of those shown are never met.
            works += np.uint64(WORKS_SHOWN if start >= WORKS_SHOWN // 10 else 0)
            writer.write_table(_claim_table("url", laion.work_urls(works), start, owners))
    part.rename(path)
    return path


def _claim_table(kind: str, values: pa.Array, start: int, owners: int) -> pa.Table:
    count = len(values)
    names = pa.array([f"studio-{number}" for number in range(owners)])
    owner = pa.DictionaryArray.from_arrays(pa.array((np.arange(count) + start) % owners, pa.int32()), names)
    constant = {"selector": kind, "decision": "deny", "uses": "ai-train"}
    columns = {
        name: pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([text]))
        for name, text in constant.items()
    }
    return pa.table(
        {
            "selector": columns["selector"],
            "value": values,
            "decision": columns["decision"],
            "uses": columns["uses"],
            "owner": owner,
        }
    )
