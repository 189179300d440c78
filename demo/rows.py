"""Opting out of addresses: metadata of tens of thousands of rows goes through the filter."""

from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.table import Table

from demo import laion
from demo.people import SETTINGS
from demo.tools import CONSOLE, HOME, keys_to_trust, optout, step

__all__ = ["filter_rows"]

ROWS, SHARDS = 60_000, 4


def filter_rows(data: Path | None, snapshot: Path) -> None:
    """Filter generated rows (or somebody's own), verify the receipt, and say what came of it."""
    rows = data or HOME / "rows"
    if data is None:
        with step(f"{ROWS:,} rows as LAION has them: resized, proxied, under http"):
            _write_rows(rows)
    with step("The pipeline filters its data set"):
        summary = _filter(rows, snapshot)
    with step("Anybody verifies the receipt"):
        receipt = HOME / "filtered" / "receipt.json"
        verified = optout("verify", receipt, "--snapshot", snapshot, *keys_to_trust())
    _report(summary)
    CONSOLE.print(f"The receipt {'holds' if verified['holds'] else 'does not hold'}.")
    if data is None:
        _show_example(snapshot)


def _write_rows(folder: Path) -> None:
    folder.mkdir()
    for shard in range(SHARDS):
        count = ROWS // SHARDS
        laion.write_rows(folder / f"part-{shard:05}.parquet", count, start=shard * count, settings=SETTINGS)


def _filter(rows: Path, snapshot: Path) -> dict[str, Any]:
    optout("snapshot", "verify", snapshot, "--trust", HOME / "registry.pem")
    use = ("--use", "ai-train-generative", "--mode", "drop")
    out = ("--out", HOME / "filtered", "--key", HOME / "keys" / "private.pem")
    return optout("filter", rows, "--snapshot", snapshot, *use, *out)


def _report(summary: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column(style="dim")
    table.add_column(justify="right")
    table.add_row("rows", f"{summary['rows']:,}")
    table.add_row("kept", f"[green]{summary['kept']:,}[/]")
    table.add_row("dropped", f"[bold]{summary['dropped']:,}[/]")
    for kind, count in sorted(summary["reasons"].items(), key=lambda pair: -pair[1]):
        table.add_row(f"  because of a {kind}", f"{count:,}")
    table.add_row("could not be judged, left out", f"{summary['errors']:,}")
    table.add_row("names an artist who objects, flagged", f"{summary['flagged']:,}")
    table.add_row("rows per second, start-up included", f"{summary['rows_per_s']:,.0f}")
    CONSOLE.print()
    CONSOLE.print(table)


def _show_example(snapshot: Path) -> None:
    """One row that a comparison of strings would have kept, and why it went."""
    before, after = (
        pq.read_table(sorted((HOME / folder).glob("*.parquet")), columns=["URL"])["URL"]
        for folder in ("rows", "filtered")
    )
    gone = before.filter(pc.invert(pc.is_in(before, after)))
    url = next(text for text in gone.to_pylist() if ".wp.com/" in text and "-300x200" in text)
    reason = optout("check", url, "--snapshot", snapshot)["results"][0]["reasons"][0]
    CONSOLE.print("One of the rows left out, though nobody claimed this very address:")
    CONSOLE.print(f"[bold]{url}[/]", soft_wrap=True)
    CONSOLE.print(f"It is a picture of {reason['owner']}, resized and behind a proxy.\n")
