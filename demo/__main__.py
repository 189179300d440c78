"""`make demo`: opt-outs go in by portal and API, a data set comes out without them, a receipt proves it."""

import argparse
import fcntl
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count as counting
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from demo import laion
from demo.mirror import fetch_snapshot
from demo.people import (
    CREATORS,
    SETTINGS,
    Api,
    Platform,
    claim_by_creators,
    claim_by_platform,
    generated_works,
    some_of,
)
from demo.service import ROOT, Registry, running

ROWS, SHARDS = 60_000, 4
HOME = Path(os.environ.get("OPTOUT_DEMO_DIR", ROOT / "var" / "demo")).absolute()
CONSOLE = Console(highlight=False)
_NUMBERS = counting(1)


def main() -> int:
    """Tell the story once, then keep the registry running until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop everything in the end (ONCE=1)")
    parser.add_argument(
        "--data", type=Path, help="filter this Parquet file instead of generated rows (DATA=…)"
    )
    arguments = parser.parse_args()
    if arguments.data and not arguments.data.exists():
        parser.error(f"{arguments.data} does not exist")
    with _own_folder(), running(HOME / "registry") as registry:
        _tell(registry, arguments.data)
        if not arguments.once:
            _keep_serving(registry)
    return 0


@contextmanager
def _own_folder() -> Iterator[None]:
    """A fresh var/demo, held by one demonstration at a time."""
    HOME.mkdir(parents=True, exist_ok=True)
    with HOME.with_suffix(".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit("Another demonstration is running; stop it with Ctrl-C first.") from None
        shutil.rmtree(HOME)
        (HOME / "registry").mkdir(parents=True)
        yield


@contextmanager
def _step(text: str) -> Iterator[None]:
    number = next(_NUMBERS)
    start = time.monotonic()
    with CONSOLE.status(f"{number}  {text} …"):
        yield
    CONSOLE.print(f"[green]✓[/] [dim]{number}[/]  {text} [dim]{time.monotonic() - start:.1f} s[/]")


def _tell(registry: Registry, data: Path | None) -> None:
    CONSOLE.print(
        f"\n[bold]The Optout Registry[/], on this machine alone: [link={registry.web}]{registry.web}[/]\n"
    )
    with _step(f"{len(CREATORS)} creators sign up at the portal and send claims over the API"):
        claims = claim_by_creators(registry)
    CONSOLE.print(f"     {claims} claims: sites, names and single pictures, some under terms")
    with _step("A gallery imports the works of 200 members as one file"):
        platform = claim_by_platform(registry, HOME, some_of(data) if data else generated_works())
    _show_import(platform)
    with _step("A claim made this moment is in the registry's answers"):
        seconds = _seconds_until_answered(platform.api)
    CONSOLE.print(f"     denied {seconds:.2f} s after it was made")
    with _step("The registry publishes a signed snapshot; a pipeline fetches it"):
        snapshot = fetch_snapshot(platform.api, HOME, selectors=claims + platform.accepted)
    rows = data or HOME / "rows"
    if data is None:
        with _step(f"{ROWS:,} rows as LAION has them: resized, proxied, under http"):
            _write_rows(rows)
    with _step("The pipeline filters its data set"):
        summary = _filter(rows, snapshot)
    with _step("Anybody verifies the receipt"):
        verified = _verify(snapshot)
    _report(summary)
    if data is None:
        _show_example(snapshot)
    _show_addresses(registry, summary, verified)


def _show_import(platform: Platform) -> None:
    CONSOLE.print(f"     {platform.accepted:,} rows taken in, {len(platform.rejected)} rejected:")
    for row in platform.rejected:
        CONSOLE.print(f"     [yellow]row {row['row']}[/]: {row['detail']}")


def _seconds_until_answered(api: Api) -> float:
    url = "https://example.org/brand-new-picture.jpg"
    api.post(
        "claims", {"decision": "deny", "uses": ["ai-train"], "selectors": [{"kind": "url", "value": url}]}
    )
    start = time.monotonic()
    resized = "http://www.example.org/brand-new-picture-300x200.jpg"
    while (
        api.post("check", {"urls": [resized], "use": "ai-train-generative"})["answers"][0]["outcome"]
        != "denied"
    ):
        if time.monotonic() - start > 30:
            raise SystemExit("A new claim was not in the answers after 30 seconds.")
        time.sleep(0.05)
    return time.monotonic() - start


def _write_rows(folder: Path) -> None:
    folder.mkdir()
    for shard in range(SHARDS):
        count = ROWS // SHARDS
        laion.write_rows(folder / f"part-{shard:05}.parquet", count, start=shard * count, settings=SETTINGS)


def _optout(*arguments: str | Path) -> dict[str, Any]:
    """Run the `optout` command as a person would; its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "optout", *map(str, arguments), "--json"], stdout=subprocess.PIPE
    )
    if done.returncode:
        raise SystemExit(f"optout {' '.join(map(str, arguments))} exited with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def _filter(rows: Path, snapshot: Path) -> dict[str, Any]:
    _optout("keygen", HOME / "keys")
    trust = HOME / "registry.pem"
    _optout("snapshot", "verify", snapshot, "--trust", trust)
    use = ("--use", "ai-train-generative", "--mode", "drop")
    out = ("--out", HOME / "filtered", "--key", HOME / "keys" / "private.pem")
    return _optout("filter", rows, "--snapshot", snapshot, *use, *out)


def _verify(snapshot: Path) -> dict[str, Any]:
    receipt = HOME / "filtered" / "receipt.json"
    trust = ("--trust", HOME / "keys" / "public.pem", "--trust", HOME / "registry.pem")
    return _optout("verify", receipt, "--data", HOME / "filtered", "--snapshot", snapshot, *trust)


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


def _show_addresses(registry: Registry, summary: dict[str, Any], verified: dict[str, Any]) -> None:
    receipt = os.path.relpath(HOME / "filtered" / "receipt.json")
    CONSOLE.print(f"\n[dim]receipt[/]   {receipt}, it {'holds' if verified['holds'] else 'does not hold'}")
    CONSOLE.print(f"[dim]sha256[/]    {summary['receipt_sha256']}")
    CONSOLE.print(f"[dim]portal[/]    {registry.web}")
    CONSOLE.print(f"[dim]API docs[/]  {registry.web}api/docs/\n")


def _show_example(snapshot: Path) -> None:
    """One row that a comparison of strings would have kept, and why it went."""
    before, after = (
        pq.read_table(sorted((HOME / folder).glob("*.parquet")), columns=["URL"])["URL"]
        for folder in ("rows", "filtered")
    )
    gone = before.filter(pc.invert(pc.is_in(before, after)))
    url = next(text for text in gone.to_pylist() if ".wp.com/" in text and "-300x200" in text)
    reason = _optout("check", url, "--snapshot", snapshot)["results"][0]["reasons"][0]
    CONSOLE.print("\nOne of the rows left out, though nobody claimed this very address:")
    CONSOLE.print(f"[bold]{url}[/]", soft_wrap=True)
    CONSOLE.print(f"It is a picture of {reason['owner']}, resized and behind a proxy.")


def _keep_serving(registry: Registry) -> None:
    CONSOLE.print(
        f"The registry keeps running; sign-in codes arrive at {registry.web}mail/. Ctrl-C stops everything."
    )
    try:
        registry.process.wait()
    except KeyboardInterrupt:
        CONSOLE.print("\nStopping …")


if __name__ == "__main__":
    sys.exit(main())
