"""`optout filter`."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import (
    AtOption,
    EvidenceTier,
    GradeOption,
    JsonOption,
    NamesOption,
    NamesRule,
    SnapshotOption,
    TrustOption,
    UseName,
    UseOption,
    complain,
    make_question,
    print_json,
    printable,
    progress_bar,
    public_keys,
)
from optout.errors import UsageError
from optout.filter.modes import Codec, DataFormat, MaskFormat, Mode

if TYPE_CHECKING:
    from optout.filter import ShardsFailed

__all__ = ["filter_command"]

#: Of the items that cannot be judged so many are shown.
_MOST_SHOWN = 20

_COLUMNS, _WRITING, _RUNNING = "Columns", "Output", "Running"


def _column(role: str) -> Any:
    return typer.Option(
        f"--{role}-column",
        metavar="NAME",
        help=f"Column of {role}s.",
        show_default=False,
        rich_help_panel=_COLUMNS,
    )


def filter_command(
    source: Annotated[
        str,
        typer.Argument(
            help="Parquet, WebDataset tars, embedding shards or pictures: a file, a directory, or a glob.",
            show_default=False,
        ),
    ],
    snapshot: SnapshotOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory for the output.", show_default=False)],
    use: UseOption = UseName.AI_TRAIN_GENERATIVE,
    mode: Annotated[
        Mode, typer.Option(help="drop: rewrite without the rows. annotate: add columns. mask: list the rows.")
    ] = Mode.DROP,
    key: Annotated[
        Path | None, typer.Option(help="The private key (PEM) that signs the receipt.", show_default=False)
    ] = None,
    parent_receipt: Annotated[
        list[Path] | None,
        typer.Option(
            "--parent-receipt",
            help="Receipt of the filter run this data came from; the new one carries it. May be repeated.",
            show_default=False,
        ),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner",
            metavar="HANDLE",
            help="Everything here is HANDLE's own, as you state: claims of HANDLE count as allowing it.",
            show_default=False,
        ),
    ] = None,
    at: AtOption = None,
    min_grade: GradeOption = 0,
    names: NamesOption = NamesRule.FLAG,
    evidence: Annotated[
        EvidenceTier,
        typer.Option(help="The weakest evidence by which a picture counts as claimed: see docs/evidence.md."),
    ] = EvidenceTier.MATCH,
    keep_terms: Annotated[
        bool, typer.Option("--keep-terms", help="Keep rows whose owners set terms: you have met them.")
    ] = False,
    keep_errors: Annotated[
        bool,
        typer.Option(
            "--keep-errors", help="Keep rows that cannot be judged. Consent fails closed without it."
        ),
    ] = False,
    data_format: Annotated[
        DataFormat | None,
        typer.Option(
            "--format", help="What SOURCE holds; told by its files if left out.", show_default=False
        ),
    ] = None,
    mask_format: Annotated[
        MaskFormat,
        typer.Option(
            help="rows: those to leave out. datacomp: uids to keep. nemo: ids to remove.",
            rich_help_panel=_WRITING,
        ),
    ] = MaskFormat.ROWS,
    codec: Annotated[
        Codec | None,
        typer.Option(
            help="Parquet codec; the input's own if left out.",
            show_default=False,
            rich_help_panel=_WRITING,
        ),
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Do everything anew, whatever OUT holds of earlier runs.",
            rich_help_panel=_WRITING,
        ),
    ] = False,
    clip_model: Annotated[
        str | None,
        typer.Option(
            metavar="ID",
            help="The model that made the embeddings, as claims name it: ViT-L/14@b8cca3fd41ae0c99.",
            show_default=False,
        ),
    ] = None,
    url_column: Annotated[str | None, _column("url")] = None,
    text_column: Annotated[str | None, _column("text")] = None,
    sha256_column: Annotated[str | None, _column("sha256")] = None,
    md5_column: Annotated[str | None, _column("md5")] = None,
    id_column: Annotated[str | None, _column("id")] = None,
    phash_column: Annotated[str | None, _column("phash")] = None,
    pdq_column: Annotated[str | None, _column("pdq")] = None,
    image_column: Annotated[str | None, _column("image")] = None,
    processes: Annotated[
        int | None, typer.Option("--processes", "-p", min=1, help="Shards at once; one a core if left out.")
    ] = None,
    trust: TrustOption = None,
    as_json: JsonOption = False,
) -> int:
    """Filter a data set with a snapshot, and sign a receipt of it.

    Shards that are finished are not done again: after a crash or Ctrl-C, run the same command to go on.
    """
    # Read when Arrow is loaded, here and in the workers: memory that is handed back to the system between
    # batches has to be cleared again by it, a tenth of the time of a copy. Peak memory stays what it was.
    os.environ.setdefault("MIMALLOC_PURGE_DELAY", "-1")
    from optout.filter import ColumnNames, Settings, ShardsFailed, filter_dataset
    from optout.snapshot import open_snapshot

    if mode is not Mode.MASK and mask_format is not MaskFormat.ROWS:
        raise UsageError("--mask-format needs --mode mask", code="mask_format")
    if trust:
        open_snapshot(snapshot, trust=public_keys(trust))
    columns = ColumnNames(
        url_column,
        text_column,
        sha256_column,
        md5_column,
        id_column,
        phash_column,
        pdq_column,
        image_column,
    )
    settings = Settings(
        mode, mask_format, keep_terms, keep_errors, codec and codec.value, columns, clip_model
    )
    question = replace(make_question(use, at, min_grade, names), own=owner, evidence=evidence.value)
    with progress_bar(lambda: _count_rows(source, out, data_format), "rows") as progress:
        try:
            summary = filter_dataset(
                source,
                out,
                snapshot=snapshot,
                question=question,
                mode=mode,
                key=key,
                processes=processes,
                overwrite=overwrite,
                settings=settings,
                progress=progress,
                data_format=data_format,
                parents=parent_receipt or (),
            )
        except ShardsFailed as failure:
            return _show_failures(failure, as_json=as_json)
    content = summary.as_json()
    if as_json:
        print_json(content)
    else:
        _show(content)
    return 0


def _count_rows(source: str, out: Path, data_format: DataFormat | None) -> int | None:
    """Rows of all shards, at a glance; None where that does not tell. Bad shards are reported later."""
    from optout.filter.kinds import open_kind
    from optout.filter.source import find_shards

    counts = [open_kind(shard.kind).rows(shard) for shard in find_shards(source, out, data_format)]
    return None if None in counts else sum(count or 0 for count in counts)


def _show(summary: dict[str, Any]) -> None:
    reasons = ", ".join(f"{count:,} by {kind}" for kind, count in summary["reasons"].items())
    errors = ", ".join(f"{count:,} {why}" for why, count in summary["error_reasons"].items())
    resumed = f", {summary['resumed']} of them finished before" if summary["resumed"] else ""
    typer.echo(f"rows     {summary['rows']:>14,}   in {summary['shards']} shards{resumed}")
    typer.echo(f"kept     {summary['kept']:>14,}")
    typer.echo(f"dropped  {summary['dropped']:>14,}   {reasons}".rstrip())
    typer.echo(f"errors   {summary['errors']:>14,}   {errors}".rstrip())
    if summary["flagged"]:
        typer.echo(f"flagged  {summary['flagged']:>14,}   by name, for review")
    if summary["unasked"]:
        typer.echo(f"unasked  {max(summary['unasked'].values()):>14,}   {_unasked(summary['unasked'])}")
    named = summary["error_items"]
    for sentence in named[:_MOST_SHOWN]:
        typer.echo(f"         {printable(sentence)}")
    if len(named) > _MOST_SHOWN:
        typer.echo("         … and more: --json names the first ones of every shard")
    typer.echo(f"speed    {summary['rows_per_s']:>14,}   rows a second")
    if summary["receipt"]:
        typer.echo(f"receipt  {summary['receipt']}  sha256 {summary['receipt_sha256']}")
    else:
        typer.echo("receipt  none: give --key to get one")


def _unasked(counts: dict[str, int]) -> str:
    """What was not compared with what, and why."""
    from optout.filter.unasked import LACKS

    kinds: dict[str, list[str]] = {}
    for kind, count in counts.items():
        kinds.setdefault(LACKS[kind], []).append(f"{count:,} by {kind}")
    lacks = (f"{', '.join(counted)} (no {what} here)" for what, counted in kinds.items())
    return f"not compared with claims: {', '.join(lacks)}"


def _show_failures(failure: "ShardsFailed", *, as_json: bool) -> int:
    """Tell which shards failed; returns the exit code."""
    summary = failure.summary.as_json()
    if as_json:
        print_json(summary | {"error": {"code": failure.code, "message": str(failure)}})
    done = summary["shards"] - len(summary["failed"])
    typer.echo(f"{done} of {summary['shards']} shards are done; these are not:", err=True)
    for failed in summary["failed"]:
        typer.echo(f"  {printable(failed['detail'])}", err=True)
    complain(str(failure))
    return failure.exit_code
