"""The filter at 10 and 100 million opted-out URLs, against DuckDB, polars, plain Python and a bare copy.

Ours and each peer take turns, and what is compared is the CPU time of one core (all of them are told to use
one thread): what else goes on meanwhile meets all alike. Elapsed time of ours stands beside it.

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
from statistics import median

from benchmarks import common

ROWS = int(os.environ.get("OPTOUT_BENCH_ROWS", "5_000_000"))
URLS = int(os.environ.get("OPTOUT_BENCH_URLS", "10_000_000"))
LARGE = int(os.environ.get("OPTOUT_BENCH_LARGE", "100_000_000"))
PYTHON_ROWS = 200_000
ROUNDS = 3


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
    command += ["--mode", "drop", "--processes", "1", "--key", key, "--json"]
    return common.peak_gib_of(command)


def main() -> bool:
    """Measure everything; True when every aim was met."""
    common.one_core()
    rows, claims = common.dataset(ROWS), common.claims(URLS)
    snapshot = snapshot_of(claims)
    report = common.Report(
        f"{ROWS:,} rows, {URLS:,} URLs and 100,000 domains opted out; CPU time of one core"
    )
    scratch = common.HOME / "peer.parquet"
    filters = {mode: ours(rows, snapshot, mode) for mode in ("mask", "drop")}
    _alone(report, rows, snapshot, filters, scratch)
    if LARGE:
        _large(report, rows, filters["mask"])
    _peers(report, rows, claims, filters, scratch)
    _plain_python(report, rows, claims, filters["mask"])
    scratch.unlink(missing_ok=True)
    return report.show()


def _alone(
    report: common.Report, rows: Path, snapshot: Path, filters: dict[str, Callable[[], object]], scratch: Path
) -> None:
    """Ours, and the bare copy of the same file."""
    from benchmarks import peers

    copying = partial(peers.copy, rows, scratch)
    signed = {f"{mode}, receipt": ours(rows, snapshot, mode, receipt=True) for mode in filters}
    spent = common.in_rounds({**filters, "copy": copying, **signed}, ROUNDS)
    for name, found in spent.items():
        cpu, elapsed = (median(times) for times in zip(*found, strict=True))
        value = f"{cpu:.2f} s, {ROWS / cpu / 1e6:.2f} M rows/s ({elapsed:.2f} s elapsed)"
        report.add("pyarrow copy, nothing decided" if name == "copy" else f"optout filter, {name}", value)
    report.at_most("peak memory of the command, drop", peak_of_command(rows, snapshot), 2.0, "GiB")
    ratio = 1 / _ratio(spent, "copy", "drop")
    report.at_most("drop against the copy", ratio, 1.25, "times its time")
    report.at_least("mask", ROWS / median(one.cpu for one in spent["mask"]) / 1e6, 1.5, "M rows/s")


def _large(report: common.Report, rows: Path, mask: Callable[[], object]) -> None:
    """The same rows against ten times the claims; by the clock, which also counts waiting for the disk."""
    started = time.perf_counter()
    large = ours(rows, snapshot_of(common.claims(LARGE)), "mask")
    report.add(f"mask at {LARGE:,} URLs, first run", f"{time.perf_counter() - started:.2f} s elapsed")
    spent = common.in_rounds({"small": mask, "large": large}, ROUNDS)
    elapsed = {name: [one.elapsed for one in found] for name, found in spent.items()}
    ratio = common.median_ratio(elapsed["large"], elapsed["small"])
    report.at_most(f"mask at {LARGE:,} URLs against {URLS:,}", ratio, 2.0, "times its time")


def _peers(
    report: common.Report, rows: Path, claims: Path, filters: dict[str, Callable[[], object]], scratch: Path
) -> None:
    from benchmarks import peers

    for name, make, aims in (("DuckDB", peers.DuckDB, (6.0, 2.0)), ("polars", peers.Polars, (3.0, 1.3))):
        for form in ("canonical", "loose"):
            peer = make(claims, form)
            theirs: dict[str, Callable[[], object]] = {
                "decide": partial(peer.decide, rows),
                "rewrite": partial(peer.rewrite, rows, scratch),
            }
            spent = common.in_rounds({**filters, **theirs}, ROUNDS)
            for what, mode, aim in (("decide", "mask", aims[0]), ("rewrite", "drop", aims[1])):
                report.add(
                    f"{name}, {form} form, {what}",
                    f"{median(one.cpu for one in spent[what]):.2f} s",
                    ratio=_ratio(spent, what, mode),
                    aim=aim if form == "canonical" else None,
                )
            del peer


def _plain_python(report: common.Report, rows: Path, claims: Path, mask: Callable[[], object]) -> None:
    from benchmarks import peers

    peer = peers.PlainPython(claims)
    shown = min(ROWS, PYTHON_ROWS)
    spent = common.in_rounds({"mask": mask, "python": partial(peer.decide, rows, shown)}, ROUNDS)
    rate = shown / median(one.cpu for one in spent["python"])
    ratio = _ratio(spent, "python", "mask") * ROWS / shown
    report.add("Python set, urlsplit, host suffixes", f"{rate / 1e6:.3f} M rows/s", ratio=ratio, aim=15)


def _ratio(spent: dict[str, list[common.Spent]], theirs: str, mode: str) -> float:
    """How many times the CPU time of ours theirs takes."""
    return common.median_ratio([one.cpu for one in spent[theirs]], [one.cpu for one in spent[mode]])


if __name__ == "__main__":
    sys.exit(0 if main() else 1)
