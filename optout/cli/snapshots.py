"""`optout snapshot build`, `inspect` and `verify`."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from optout.cli.common import JsonOption, TrustOption, print_json
from optout.cli.verify import show_findings, snapshot_findings
from optout.errors import UsageError
from optout.words import Grade

__all__ = ["app"]

app = typer.Typer(help="Build, look into and verify snapshots.", no_args_is_help=True)


@app.command()
def build(
    sources: Annotated[
        list[Path],
        typer.Argument(
            help="Claim exchange files: .jsonl, .csv or .parquet.", metavar="CLAIMS…", show_default=False
        ),
    ],
    key: Annotated[Path, typer.Option(help="The private key (PEM) that signs.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The directory to make.", show_default=False)],
    skip_bad_rows: Annotated[
        bool, typer.Option("--skip-bad-rows", help="Leave bad rows out and list them in OUT.rejected.jsonl.")
    ] = False,
    grade: Annotated[
        int, typer.Option(min=min(Grade), max=max(Grade), help="Evidence grade given to the claims.")
    ] = 0,
    default_owner: Annotated[str, typer.Option(help="Owner of rows that name none.")] = "",
    as_of: Annotated[
        datetime | None,
        typer.Option(
            help="When the claims were read (UTC): signed with them, and trainers refuse what is old.",
            formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"],
        ),
    ] = None,
    models: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            help="A model's record, from `optout embed --calibrate --json`: its thresholds. Repeatable.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Build a signed snapshot from claim exchange files. The same claims give the same bytes."""
    from optout.cli.claims import ClaimFiles
    from optout.embeddings.identity import read_record
    from optout.keys import load_private
    from optout.snapshot import build_snapshot, inspect_snapshot

    started = time.monotonic()
    signer, records = load_private(key), [read_record(path) for path in models or ()]
    with ClaimFiles(
        sources, out, skip_bad_rows=skip_bad_rows, grade=Grade(grade), default_owner=default_owner
    ) as claims:
        build_snapshot(claims, out, private_key=signer, checkpoint=_checkpoint(as_of), models=records)
    facts = inspect_snapshot(out) | {
        "out": str(out),
        "rejected": claims.rejected,
        "rejected_file": str(claims.rejected_file) if claims.rejected else None,
        "seconds": round(time.monotonic() - started, 3),
    }
    if as_json:
        print_json(facts)
        return
    _show(facts)
    if claims.rejected:
        typer.echo(
            f"{claims.rejected:,} bad rows were left out; they are listed in {claims.rejected_file}", err=True
        )


def _checkpoint(as_of: datetime | None) -> dict[str, str] | None:
    if as_of is None:
        return None
    moment = as_of.replace(tzinfo=UTC)
    if moment > datetime.now(UTC):
        raise UsageError(f"--as-of {as_of.isoformat()} is in the future (it is read as UTC)", code="future")
    return {"as_of": moment.isoformat()}


@app.command()
def inspect(
    path: Annotated[Path, typer.Argument(help="The snapshot's directory.", show_default=False)],
    as_json: JsonOption = False,
) -> None:
    """Tell what is in a snapshot, without checking every byte of it."""
    from optout.snapshot import inspect_snapshot

    facts = inspect_snapshot(path)
    if as_json:
        print_json(facts)
    else:
        _show(facts | {"out": str(path)})


@app.command("verify")
def verify_command(
    path: Annotated[Path, typer.Argument(help="The snapshot's directory.", show_default=False)],
    trust: TrustOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check every byte of a snapshot against its signature. Exits with 0 or 1."""
    if not trust:
        raise UsageError(
            "--trust PUBLIC.PEM is needed: a signature says nothing without a key", code="no_trust"
        )
    return show_findings(snapshot_findings(path, trust), as_json=as_json)


def _show(facts: dict[str, Any]) -> None:
    selectors = ", ".join(f"{count:,} {kind}" for kind, count in facts["selectors"].items() if count)
    typer.echo(f"{facts['out']}   {facts['claims']:,} claims by {facts['owners']:,} owners")
    typer.echo(f"  selectors  {selectors or 'none'}")
    if as_of := (facts["checkpoint"] or {}).get("as_of"):
        typer.echo(f"  as of      {as_of}")
    typer.echo(f"  size       {facts['bytes']:,} bytes in {facts['files']} files")
    typer.echo(f"  signed by  {', '.join(key[:16] for key in facts['signed_by'])}")
    typer.echo(f"  snapshot   {facts['snapshot']}")
