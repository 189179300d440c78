"""`make demo`: opt-outs go in by portal and API, a data set comes out without them, a receipt proves it."""

import argparse
import fcntl
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from demo.gallery import PAINTER, claim_pictures, filter_gallery
from demo.learning import STEPS, claim_site, learn
from demo.mirror import fetch_snapshot
from demo.people import (
    CREATORS,
    Api,
    Platform,
    claim_by_creators,
    claim_by_platform,
    generated_works,
    some_of,
)
from demo.rows import filter_rows
from demo.service import Registry, running
from demo.tools import CONSOLE, HOME, optout, step
from trainer.shapes.draw import OPTED_OUT


def main() -> int:
    """Tell the story once, then keep the registry running until Ctrl-C."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--once", action="store_true", help="stop everything in the end (ONCE=1)")
    parser.add_argument(
        "--data", type=Path, help="filter this Parquet file instead of generated rows (DATA=…)"
    )
    parser.add_argument(
        "--steps", type=int, default=STEPS, help="how long the model learns (default: %(default)s steps)"
    )
    arguments = parser.parse_args()
    if arguments.data and not arguments.data.exists():
        parser.error(f"{arguments.data} does not exist")
    with _own_folder(), running(HOME / "registry") as registry:
        _tell(registry, arguments.data, arguments.steps)
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


def _tell(registry: Registry, data: Path | None, steps: int) -> None:
    CONSOLE.print(
        f"\n[bold]The Optout Registry[/], on this machine alone: [link={registry.web}]{registry.web}[/]\n"
    )
    with step(f"{len(CREATORS)} creators sign up at the portal and send claims over the API"):
        claims = claim_by_creators(registry)
    CONSOLE.print(f"     {claims} claims: sites, names and single addresses, some under terms")
    with step(f"{OPTED_OUT.name} opts out of everything on her site"):
        claims += claim_site(registry)
    with step(f"{PAINTER} hashes her pictures at home and sends the hashes"):
        claims += claim_pictures(registry)
    with step("A gallery imports the works of 200 members as one file"):
        platform = claim_by_platform(registry, HOME, some_of(data) if data else generated_works())
    _show_import(platform)
    with step("A claim made this moment is in the registry's answers"):
        seconds = _seconds_until_answered(platform.api)
    CONSOLE.print(f"     denied {seconds:.2f} s after it was made")
    with step("The registry publishes a signed snapshot; a pipeline fetches it"):
        snapshot = fetch_snapshot(platform.api, HOME, selectors=claims + platform.accepted)
        optout("keygen", HOME / "keys")
    filter_rows(data, snapshot)
    filter_gallery(snapshot)
    learn(snapshot, steps)
    _show_addresses(registry)


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


def _show_addresses(registry: Registry) -> None:
    CONSOLE.print(f"\n[dim]portal[/]    {registry.web}")
    CONSOLE.print(f"[dim]API docs[/]  {registry.web}api/docs/")
    CONSOLE.print(f"[dim]files[/]     {os.path.relpath(HOME)}\n")


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
