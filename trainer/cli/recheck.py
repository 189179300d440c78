"""`trainer recheck`."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from optout.cli.common import JsonOption, SnapshotOption, TrustOption, public_keys
from trainer.cli.common import DataOption, ReceiptOption
from trainer.gate import Admission, admit, filter_again

__all__ = ["recheck_command"]

_SHOWN = 20


def recheck_command(
    data: DataOption,
    snapshot: SnapshotOption,
    receipt: ReceiptOption = None,
    trust: TrustOption = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", help="The model of a run on it: says what it has seen so far.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Ask a newer snapshot about data that was filtered, and name what has been opted out since.

    Exits with 1 if anything has. Nothing is changed; a run may be going on.
    """
    admission = admit(data, receipt or data / "receipt.json", public_keys(trust), max_age=timedelta.max)
    from optout.snapshot import open_snapshot
    from trainer.recheck import recheck, seen_samples

    found = recheck(admission, open_snapshot(snapshot, trust=public_keys(trust)))
    seen, step = seen_samples(admission, out) if out is not None else (set(), None)
    rows = [{**each._asdict(), "seen": each.name in seen if out else None} for each in found.opted_out]
    content = {
        "snapshot": found.snapshot,
        "filtered_with": admission.snapshot,
        "opted_out": rows,
        "seen": sum(bool(row["seen"]) for row in rows) if out else None,
        "seen_until_step": step,
    }
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        _show(content, admission)
    return int(bool(rows))


def _show(content: dict[str, Any], admission: Admission) -> None:
    rows, data = content["opted_out"], admission.data
    if not rows:
        typer.echo(f"everything in {data} passes snapshot {content['snapshot'][:16]} as well")
        return
    for row in rows[:_SHOWN]:
        trained = "   trained on already" if row["seen"] else ""
        typer.echo(f"{row['name']}   {row['decision']} by {row['reason']}{trained}")
    more = f" ({len(rows) - _SHOWN:,} more)" if len(rows) > _SHOWN else ""
    typer.echo(f"{len(rows):,} samples of {data} do not pass snapshot {content['snapshot'][:16]}{more}")
    if content["seen"] is not None:
        what = "stop it, and train anew without them" if content["seen"] else "stop it before it does"
        done = f"by its checkpoint of step {content['seen_until_step']:,} the run has trained on"
        typer.echo(f"{done} {content['seen']:,} of them: {what}")
    typer.echo(filter_again(data, admission.predicate))
