"""`optout hash`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from optout.cli.common import JsonOption
from optout.errors import BadInput

if TYPE_CHECKING:
    from optout.hashes import Picture

__all__ = ["hash_pictures"]


def hash_pictures(
    paths: Annotated[list[Path], typer.Argument(help="Pictures.", metavar="PICTURE…", show_default=False)],
    as_json: JsonOption = False,
) -> int:
    """Print the digests and perceptual hashes of pictures; with --json one object a line.

    A picture that cannot be read does not stop the others; the exit code is 3 then.
    """
    from optout.hashes import hash_picture

    failed = 0
    for path in paths:
        try:
            picture = hash_picture(path)
        except BadInput as error:
            failed = error.exit_code
            typer.echo(f"optout: {error}", err=True)
            if as_json:
                _print_line({"path": str(path), "error": {"code": error.code, "message": str(error)}})
            continue
        if as_json:
            _print_line({"path": str(path), **_as_json(picture)})
        else:
            _show(path, picture)
    return failed


def _print_line(content: dict[str, Any]) -> None:
    import json

    typer.echo(json.dumps(content))


def _as_json(picture: "Picture") -> dict[str, Any]:
    return picture._asdict() | {"views": [view._asdict() for view in picture.views]}


def _show(path: Path, picture: "Picture") -> None:
    typer.echo(str(path))
    typer.echo(f"  sha256       {picture.sha256}")
    typer.echo(f"  md5          {picture.md5}")
    for view in picture.views:
        typer.echo(f"  {view.name:<12} phash {view.phash}  pdq {view.pdq}  quality {view.quality}")
    typer.echo(f"  fingerprint  {picture.fingerprint}")
