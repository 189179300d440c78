"""`trainer audit`."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import JsonOption, SnapshotOption, TrustOption, public_keys
from optout.errors import BadInput, DoesNotHold
from trainer.cli.common import ReceiptOption

if TYPE_CHECKING:
    from optout.embeddings import EmbeddingModel
    from trainer.gate import Admission

__all__ = ["audit_command"]

_DRAWING = "Drawing"


class Evidence(StrEnum):
    """How strong evidence has to be to count."""

    MATCH = "match"
    PROBABLE = "probable"
    REVIEW = "review"


def audit_command(
    model: Annotated[
        Path, typer.Argument(help="The model's directory, as `trainer train` writes it.", show_default=False)
    ],
    snapshot: SnapshotOption,
    out: Annotated[Path, typer.Option("--out", "-o", help="Directory for the report.", show_default=False)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            "-d",
            help="What it was trained on: gives captions, and works that it must not copy.",
            show_default=False,
        ),
    ] = None,
    receipt: ReceiptOption = None,
    trust: TrustOption = None,
    base: Annotated[
        Path | None,
        typer.Option(help="The checkpoint that a low-rank update is for.", show_default=False),
    ] = None,
    originals: Annotated[
        Path | None,
        typer.Option(
            help="Pictures or tars of claimed works, to show beside what was drawn.", show_default=False
        ),
    ] = None,
    prompts: Annotated[
        Path | None,
        typer.Option(help="More prompts, one a line.", show_default=False, rich_help_panel=_DRAWING),
    ] = None,
    captions: Annotated[
        int, typer.Option(min=0, help="Training captions to draw.", rich_help_panel=_DRAWING)
    ] = 100,
    per_prompt: Annotated[int, typer.Option(min=1, help="Pictures a prompt.", rich_help_panel=_DRAWING)] = 2,
    steps: Annotated[int, typer.Option(min=1, help="Denoising steps.", rich_help_panel=_DRAWING)] = 20,
    guidance: Annotated[
        float, typer.Option(min=1, help="Classifier-free guidance.", rich_help_panel=_DRAWING)
    ] = 3.0,
    seed: Annotated[int, typer.Option(min=0, help="Of the noise.", rich_help_panel=_DRAWING)] = 0,
    embeddings: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Compare by embeddings too: a CLIP checkpoint, or `sscd:` and a copy-detection model.",
            show_default=False,
        ),
    ] = None,
    evidence: Annotated[Evidence, typer.Option(help="The weakest evidence that counts.")] = Evidence.MATCH,
    as_json: JsonOption = False,
) -> int:
    """Let a model draw, and look for copies of works that are opted out or that it was trained on.

    Exits with 1 if there are any. The report shows what was drawn beside the work.
    """
    given = _lines(prompts)
    keys = public_keys(trust)
    _require_statement(model, trust)
    admission = None if data is None else _admit(data, receipt, trust)
    from optout.snapshot import open_snapshot
    from trainer.audit import Audit, Looker, audit, write_report
    from trainer.settings import Validation

    settings = Audit(
        given=given,
        captions=captions,
        per_prompt=per_prompt,
        drawing=Validation(steps=steps, guidance=guidance, seed=seed),
        evidence=evidence.value,
        looker=Looker(len(os.sched_getaffinity(0)), _model(embeddings)),
    )
    with _progress() as progress:
        audited = audit(
            model,
            open_snapshot(snapshot, trust=keys),
            out,
            settings,
            base=base,
            admission=admission,
            originals=originals,
            progress=progress,
        )
    content = write_report(audited, out)
    if as_json:
        typer.echo(json.dumps(content, indent=2))
    else:
        _show(content, out)
    return int(not content["clean"])


def _lines(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read the prompts in {path}: {error}", code="bad_prompts") from None
    return [line.strip() for line in lines if line.strip()]


def _model(spec: str | None) -> "EmbeddingModel | None":
    if spec is None:
        return None
    from optout.embeddings import load_model

    return load_model(spec)


def _require_statement(model: Path, trust: list[Path] | None) -> None:
    """A model that is not what its statement says was changed, and then nobody knows what is audited."""
    from optout.model_statement import MODEL_STATEMENT_NAME, verify_model

    if not trust or not (model / MODEL_STATEMENT_NAME).is_file():
        return
    bad = [finding for finding in verify_model(model, public_keys(trust)).findings if not finding.holds]
    if bad:
        raise DoesNotHold(f"{model} is not what its statement says: {bad[0].detail}", code=bad[0].code)


def _admit(data: Path, receipt: Path | None, trust: list[Path] | None) -> "Admission":
    """The data as it was trained on, whenever that was."""
    from trainer.gate import admit

    return admit(data, receipt or data / "receipt.json", public_keys(trust), max_age=timedelta.max)


@contextmanager
def _progress() -> Iterator[Callable[[str, int, int], object]]:
    """A bar for each thing done, where stderr is a terminal."""
    if not sys.stderr.isatty():
        yield lambda what, count, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    tasks: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=Console(stderr=True)) as bars:

        def advance(what: str, count: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.advance(tasks[what], count)

        yield advance


def _show(content: dict[str, Any], out: Path) -> None:
    counts, prompts = content["counts"], content["counts"]["prompts"]
    works = counts["training_works"]
    typer.echo(
        f"drawn     {counts['pictures']:,} pictures for {prompts['caption']:,} training captions, "
        f"{prompts['name']:,} claimed names, {prompts['given']:,} prompts given"
    )
    typer.echo(f"registry  {counts['registry']:,} pictures are copies of claimed works")
    copies = f"{counts['training']:,} pictures are copies of what was trained on, {works or 0:,} works"
    typer.echo(f"training  {'not at hand: give --data' if works is None else copies}")
    typer.echo(f"review    {counts['for_review']:,} more come near a work")
    typer.echo(f"report    {out / 'audit.html'}")
