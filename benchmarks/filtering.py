"""The filter at 10 and 100 million opted-out URLs, against DuckDB, polars, plain Python and a bare copy.

`OPTOUT_BENCH_ROWS`, `OPTOUT_BENCH_URLS`, `OPTOUT_BENCH_LARGE` change the sizes (0 leaves the large case out).
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import common
from demo import laion

ROWS = int(os.environ.get("OPTOUT_BENCH_ROWS", "5_000_000"))
URLS = int(os.environ.get("OPTOUT_BENCH_URLS", "10_000_000"))
LARGE = int(os.environ.get("OPTOUT_BENCH_LARGE", "100_000_000"))


def snapshot_of(claims: Path) -> Path:
    """The signed snapshot of a claims file, built once and kept."""
    keys, out = common.HOME / "keys", claims.with_suffix(".snapshot")
    command = [sys.executable, "-m", "optout"]
    if not keys.exists():
        subprocess.run([*command, "keygen", str(keys)], check=True, stdout=subprocess.DEVNULL)
    if not out.exists():
        key = str(keys / "private.pem")
        subprocess.run(
            [*command, "snapshot", "build", str(claims), "--key", key, "--out", str(out)], check=True
        )
    return out


def ours(rows: Path, snapshot: Path, mode: str, *, receipt: bool = False) -> Callable[[], object]:
    """A call that filters `rows` in this process, one shard, into a fresh directory."""
    import optout
    from optout import keys
    from optout.engine import Question
    from optout.words import Use

    held, question = optout.open_snapshot(snapshot), Question(use=Use.AI_TRAIN_GENERATIVE)
    private = keys.load_private(common.HOME / "keys" / "private.pem") if receipt else None
    out = common.HOME / f"out-{mode}"

    def run() -> object:
        shutil.rmtree(out, ignore_errors=True)
        return optout.filter_dataset(
            rows, out, snapshot=held, question=question, mode=mode, key=private, processes=1
        )

    run()  # the kernels are compiled or loaded once, as in any long run
    return run


def peak_of_command(rows: Path, snapshot: Path) -> float:
    """Peak resident GiB of `optout filter --mode drop`, measured on the command itself."""
    out = common.HOME / "out-peak"
    shutil.rmtree(out, ignore_errors=True)
    command = [
        sys.executable,
        "-m",
        "optout",
        "filter",
        str(rows),
        "--snapshot",
        str(snapshot),
        "--out",
        str(out),
    ]
    key = str(common.HOME / "keys" / "private.pem")
    child = subprocess.Popen(
        [*command, "--mode", "drop", "--processes", "1", "--key", key, "--json"], stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        raise SystemExit(f"optout filter failed with status {status}")
    return usage.ru_maxrss / 2**20


def main() -> bool:
    """Measure everything; True when every aim was met."""
    common.one_core()
    from benchmarks import peers

    rows, claims = common.dataset(ROWS), common.claims(URLS)
    snapshot = snapshot_of(claims)
    report = common.Report(f"{ROWS:,} rows, {URLS:,} URLs and 100,000 domains opted out, one core")
    seconds = {mode: common.median_seconds(ours(rows, snapshot, mode)) for mode in ("mask", "drop")}
    proven = {mode: common.median_seconds(ours(rows, snapshot, mode, receipt=True)) for mode in seconds}
    for mode, value in seconds.items():
        rate = f"{value:.2f} s, {ROWS / value / 1e6:.2f} M rows/s"
        report.add(f"optout filter, {mode}", f"{rate} ({proven[mode]:.2f} s with a receipt)")
    # Before the peers: a child's peak counts what this process held when it was forked.
    report.at_most("peak memory of the command, drop", peak_of_command(rows, snapshot), 2.0, "GiB")
    scratch = common.HOME / "peer.parquet"
    copied = common.median_seconds(partial(peers.copy, rows, scratch))
    report.add("pyarrow copy, nothing decided", f"{copied:.2f} s")
    report.at_most("drop against the copy", seconds["drop"] / copied, 1.25, "times its time")
    report.at_least("mask", ROWS / seconds["mask"] / 1e6, 1.5, "M rows/s")
    for name, make, aims in (("DuckDB", peers.DuckDB, (6.0, 2.0)), ("polars", peers.Polars, (3.0, 1.3))):
        for form in ("canonical", "loose"):
            peer = make(claims, form)
            label = f"{name}, {form} form"
            decided = common.median_seconds(partial(peer.decide, rows))
            written = common.median_seconds(partial(peer.rewrite, rows, scratch))
            for what, took, mode, aim in (
                ("decide only", decided, "mask", aims[0]),
                ("rewrite", written, "drop", aims[1]),
            ):
                asked = aim if form == "canonical" else None
                report.add(f"{label}, {what}", f"{took:.2f} s", ratio=took / seconds[mode], aim=asked)
            del peer
    _plain_python(report, claims, ROWS / seconds["mask"])
    if LARGE:
        large = common.median_seconds(ours(rows, snapshot_of(common.claims(LARGE)), "mask"))
        report.at_most(
            f"mask at {LARGE:,} URLs against {URLS:,}", large / seconds["mask"], 2.0, "times its time"
        )
    scratch.unlink(missing_ok=True)
    return report.show()


def _plain_python(report: common.Report, claims: Path, mask_rate: float) -> None:
    from benchmarks import peers

    peer = peers.PlainPython(claims)
    urls = peers.sample_urls(200_000, laion.Rows(works=common.WORKS_SHOWN))
    start = time.perf_counter()
    peer.decide(urls)
    rate = len(urls) / (time.perf_counter() - start)
    report.add(
        "Python set, urlsplit, host suffixes", f"{rate / 1e6:.3f} M rows/s", ratio=mask_rate / rate, aim=15
    )


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
