"""`optout embed`."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import JsonOption, complain, print_json, printable, progress_bar
from optout.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optout.embeddings.files import F16, Embedded
    from optout.embeddings.identity import ModelRecord

__all__ = ["embed_pictures"]


def embed_pictures(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, and folders with pictures in them.", metavar="PATH…", show_default=False
        ),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            help="ViT-B/32, ViT-L/14, a checkpoint, or sscd: and a file; OPTOUT_CLIP_MODEL if left out.",
            show_default=False,
        ),
    ] = None,
    device: Annotated[
        str | None,
        typer.Option(help="cpu or cuda; the GPU where there is one if left out.", show_default=False),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Take the pictures for strangers to each other, and set the model's thresholds.",
        ),
    ] = False,
    as_json: JsonOption = False,
) -> int:
    """Print the embeddings of pictures as values of clip selectors; with --json one object a line.

    A picture that cannot be read does not stop the others; the exit code is 3 then.
    """
    from optout.embeddings import load_model
    from optout.embeddings.files import embed_files
    from optout.embeddings.loading import weights_of
    from optout.hashing.files import find_pictures

    pictures = find_pictures(paths).pictures
    if not pictures:
        raise BadInput("there is no picture in what was given, going by the names", code="no_pictures")
    loaded, embedded = load_model(model, device=device), []
    # On a terminal the lines themselves show that it goes on.
    with_bar = calibrate or not sys.stdout.isatty()
    with progress_bar(lambda: len(pictures), "pictures") if with_bar else nullcontext() as progress:
        for found in embed_files(loaded, pictures):
            embedded.append(found.outcome)
            _show(found, loaded.record.id, as_json=as_json, errors_alone=calibrate)
            if progress is not None:
                progress(1)
    if calibrate:
        _calibrate(loaded.record, weights_of(model), embedded, as_json=as_json)
    return max(outcome.exit_code if isinstance(outcome, BadInput) else 0 for outcome in embedded)


def _show(found: "Embedded", model: str, *, as_json: bool, errors_alone: bool) -> None:
    from optout.embeddings import format_embedding

    path, outcome = str(found.path).encode(errors="replace").decode(), found.outcome
    if isinstance(outcome, BadInput):
        complain(str(outcome))
    if errors_alone:
        return
    told: dict[str, Any]
    if isinstance(outcome, BadInput):
        told = {"error": {"code": outcome.code, "message": str(outcome)}}
    else:
        told = {"model": model, "clip": format_embedding(model, outcome)}
        if not as_json:
            typer.echo(f"{printable(path)}\t{told['clip']}")
    if as_json:
        typer.echo(json.dumps({"path": path, **told}))


def _calibrate(
    record: "ModelRecord", weights: Path, embedded: "Sequence[F16 | BadInput]", *, as_json: bool
) -> None:
    """Write the settings beside the weights."""
    import numpy as np

    from optout.embeddings.identity import calibrate, write_settings
    from optout.embeddings.loading import settings_path

    vectors = [outcome for outcome in embedded if not isinstance(outcome, BadInput)]
    if not vectors:
        raise BadInput("none of the pictures could be read", code="bad_reference")
    settings, path = calibrate(np.stack(vectors)), settings_path(weights)
    write_settings(path, settings)
    measured = record.with_settings(settings)
    if as_json:
        print_json(measured.as_dict() | {"settings": str(path)})
    else:
        match, review = measured.thresholds
        typer.echo(f"{path}: a match from a cosine of {match:.4f} on, for review from {review:.4f} on")
