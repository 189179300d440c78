"""`optout hash`."""

import json
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import JsonOption, complain, printable, progress_bar
from optout.errors import BadInput

if TYPE_CHECKING:
    from optout.hashes import Picture
    from optout.hashing.files import Found, Hashed

__all__ = ["hash_pictures"]


def hash_pictures(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="Pictures, and folders with pictures in them.", metavar="PATH…", show_default=False
        ),
    ],
    processes: Annotated[
        int | None,
        typer.Option(
            "--processes", "-p", min=1, help="Pictures at once; one a core if left out.", show_default=False
        ),
    ] = None,
    as_json: JsonOption = False,
) -> int:
    """Print the digests and perceptual hashes of pictures; with --json one object a line.

    A picture that cannot be read does not stop the others; the exit code is 3 then.
    """
    from optout.hashing.files import find_pictures, hash_files

    found = find_pictures(paths)
    _say_what_is_left_out(found)
    exit_code = 0
    # On a terminal the lines themselves show that it goes on.
    bar = nullcontext() if sys.stdout.isatty() else progress_bar(lambda: len(found.pictures), "pictures")
    with bar as progress:
        for hashed in hash_files(found.pictures, processes=processes):
            exit_code = max(exit_code, _show(hashed, as_json=as_json))
            if progress is not None:
                progress(1)
    return exit_code


def _say_what_is_left_out(found: "Found") -> None:
    """Files of other names are normal in folders, but a folder without any picture is a mistake.

    Raises:
        BadInput: there is nothing to hash (`no_pictures`).
    """
    if not found.pictures:
        raise BadInput("there is no picture in what was given, going by the names", code="no_pictures")
    if found.passed_by:
        complain(f"{found.passed_by:,} files not named like pictures were passed by")


def _show(hashed: "Hashed", *, as_json: bool) -> int:
    """Prints one picture; returns the exit code that it asks for."""
    exit_code, outcome = 0, hashed.outcome
    if isinstance(outcome, BadInput):
        exit_code = outcome.exit_code
        complain(str(outcome))
    if as_json:
        typer.echo(json.dumps({"path": str(hashed.path), **_as_json(outcome)}))
    elif not isinstance(outcome, BadInput):
        _show_picture(hashed.path, outcome)
    return exit_code


def _as_json(outcome: "Picture | BadInput") -> dict[str, Any]:
    if isinstance(outcome, BadInput):
        return {"error": {"code": outcome.code, "message": str(outcome)}}
    return outcome._asdict() | {"views": [view._asdict() for view in outcome.views]}


def _show_picture(path: Path, picture: "Picture") -> None:
    typer.echo(printable(str(path)))
    typer.echo(f"  sha256       {picture.sha256}")
    typer.echo(f"  md5          {picture.md5}")
    for view in picture.views:
        typer.echo(f"  {view.name:<12} phash {view.phash}  pdq {view.pdq}  quality {view.quality}")
    typer.echo(f"  fingerprint  {picture.fingerprint}")
