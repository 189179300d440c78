"""`optout verify` of receipts, snapshots and models, and the table of findings of these commands."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from optout.cli.common import JsonOption, TrustOption, print_json, print_table, public_keys
from optout.errors import BadInput, DoesNotHold, UsageError

if TYPE_CHECKING:
    from optout.receipt import Finding

__all__ = ["show_findings", "snapshot_findings", "verify"]


def verify(
    path: Annotated[
        Path,
        typer.Argument(
            help="A receipt.json, or the directory of filtered data, a snapshot or a model.",
            show_default=False,
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="The directory of the filtered files; the receipt's own if left out.", show_default=False
        ),
    ] = None,
    snapshot: Annotated[
        Path | None, typer.Option("--snapshot", "-s", help="Check as well that this snapshot was asked.")
    ] = None,
    trust: TrustOption = None,
    as_json: JsonOption = False,
) -> int:
    """Check a receipt against the files, a snapshot or a model against its signature. Exits with 0 or 1."""
    if not trust:
        raise UsageError(
            "--trust PUBLIC.PEM is needed: a signature says nothing without a key", code="no_trust"
        )
    if path.is_dir():
        return show_findings(_directory_findings(path, trust), as_json=as_json)
    from optout.receipt import verify_receipt

    checked = verify_receipt(path, data or path.parent, public_keys(trust), snapshot=snapshot)
    return show_findings(checked.findings, as_json=as_json, receipt=str(path))


def _directory_findings(path: Path, trust: list[Path]) -> "list[Finding]":
    """What holds about a directory, whichever it is."""
    from optout.model_statement import is_model, verify_model
    from optout.receipt import RECEIPT_NAME, verify_receipt

    if is_model(path):
        return verify_model(path, public_keys(trust)).findings
    if (path / RECEIPT_NAME).is_file():
        return verify_receipt(path / RECEIPT_NAME, path, public_keys(trust)).findings
    return snapshot_findings(path, trust)


def snapshot_findings(path: Path, trust: list[Path]) -> "list[Finding]":
    """What holds and what does not about the snapshot in directory `path`."""
    from optout.receipt import Finding
    from optout.snapshot import verify_snapshot

    if not path.is_dir():
        raise BadInput(f"{path}: no such directory", code="no_such_file")
    try:
        return [
            Finding(True, str(path), "ok", line) for line in verify_snapshot(path, trust=public_keys(trust))
        ]
    except DoesNotHold as error:
        return [Finding(False, str(path), error.code, str(error))]


def show_findings(findings: "list[Finding]", *, as_json: bool, **more: str) -> int:
    """Print findings; returns the exit code."""
    holds = all(finding.holds for finding in findings)
    if as_json:
        print_json({"holds": holds, **more, "findings": [finding._asdict() for finding in findings]})
        return int(not holds)
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for finding in findings:
        mark = Text("holds", style="green") if finding.holds else Text("does not hold", style="bold red")
        table.add_row(mark, Text(finding.what), Text(finding.detail))
    print_table(table)
    bad = sum(not finding.holds for finding in findings)
    typer.echo("Everything holds." if holds else f"{bad} of {len(findings)} things checked do not hold.")
    return int(not holds)
