"""`trainer train`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import JsonOption, TrustOption, public_keys
from trainer.cli.common import DataOption, MaxAgeOption, NewerOption, ReceiptOption, days, signing_key
from trainer.gate import MAX_SNAPSHOT_AGE, admit
from trainer.settings import load_settings

if TYPE_CHECKING:
    from trainer.gate import Admission
    from trainer.output import Written
    from trainer.train import Result

__all__ = ["train_command"]


def train_command(
    data: DataOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory for the model.", show_default=False)],
    receipt: ReceiptOption = None,
    trust: TrustOption = None,
    snapshot: NewerOption = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Settings, as `trainer init` writes them.", show_default=False),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Override a setting; may be repeated."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", min=1, help="Short for --set run.steps=…", show_default=False)
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(
            "--license", help="The model's licence, an identifier of model hubs.", show_default=False
        ),
    ] = None,
    licence_file: Annotated[
        Path | None,
        typer.Option("--license-file", help="Its text, copied beside the weights.", show_default=False),
    ] = None,
    key: Annotated[
        Path | None,
        typer.Option("--key", "-k", help="The private key (PEM) that signs the model.", show_default=False),
    ] = None,
    unsigned: Annotated[bool, typer.Option("--unsigned", help="Write no signed statement.")] = False,
    max_snapshot_age: MaxAgeOption = MAX_SNAPSHOT_AGE.days,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Train anew, whatever OUT holds.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Train on data that a receipt covers, and write the model.

    The same command goes on from the last checkpoint of a run that was stopped.
    """
    given = {"run.steps": steps, "output.license": licence, "output.license_file": licence_file}
    settings = load_settings(config, [*(override or ()), *_overrides(given)])
    signer, sentence = signing_key(key, trust, unsigned=unsigned)
    admission = admit(
        data, receipt or data / "receipt.json", public_keys(trust), max_age=days(max_snapshot_age)
    )
    checked = None if snapshot is None else _check(admission, snapshot, trust)
    typer.echo(f"the receipt covers {data}: training may begin; {sentence}", err=True)
    from trainer.train import train

    result = train(settings, admission, out, key=signer, overwrite=overwrite, checked=checked)
    if result.written is not None:
        _show(result, result.written, as_json=as_json)
    return 0


def _overrides(given: Mapping[str, object]) -> Iterator[str]:
    """Flags as overrides of settings; those that were left out change nothing."""
    for name, value in given.items():
        if value is not None:
            yield f"{name}={value if isinstance(value, int) else json.dumps(str(value))}"


def _check(admission: "Admission", snapshot: Path, trust: list[Path] | None) -> str | None:
    """Digest of another snapshot that lets the data pass too; None for the one it was filtered with."""
    from optout.snapshot import open_snapshot
    from trainer.recheck import require_still_allowed

    digest = require_still_allowed(admission, open_snapshot(snapshot, trust=public_keys(trust)))
    return None if digest == admission.snapshot else digest


def _show(result: "Result", written: "Written", *, as_json: bool) -> None:
    history = result.history
    content: dict[str, Any] = {
        "model": str(written.path),
        "statement": str(written.statement) if written.statement else None,
        "steps": result.steps,
        "resumed_from": result.resumed,
        "loss": result.loss,
        "pictures": history.pictures,
        "distinct": history.distinct,
        "skipped": history.skips,
        "notes": dict(history.notes),
        "waited": round(result.waited, 4),
    }
    if as_json:
        typer.echo(json.dumps(content, indent=2))
        return
    resumed = f", the first {result.resumed:,} of them before" if result.resumed else ""
    loss = "" if result.loss is None else f", loss {result.loss:.4f}"
    typer.echo(f"trained    {result.steps:,} steps{resumed}{loss}")
    typer.echo(f"pictures   {history.pictures:,} shown, {history.distinct:,} different")
    if history.skips:
        named = ", ".join(f"{name} ({why})" for name, why in list(history.skipped.items())[:3])
        typer.echo(f"skipped    {history.skips:,} unreadable: {named}{' …' * (history.skips > 3)}")
    for note, count in sorted(history.notes.items()):
        typer.echo(f"noted      {count:,} {note}")
    typer.echo(f"model      {written.path}")
    typer.echo(f"statement  {written.statement or 'none: give --key to sign one'}")
