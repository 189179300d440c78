"""`trainer init`."""

from pathlib import Path
from typing import Annotated

import typer

from optout.errors import UsageError
from trainer.settings import load_settings, template

__all__ = ["init_command"]


def init_command(
    path: Annotated[Path, typer.Argument(help="The file to write.")] = Path("trainer.toml"),
    override: Annotated[
        list[str] | None, typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Put another value in.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> int:
    """Write a settings file with every key, its default and what it does."""
    settings = load_settings(None, override or ())
    if path.exists() and not force:
        raise UsageError(f"{path} is there already; use --force to write over it", code="output_exists")
    try:
        path.write_text(template(settings), "utf-8")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", code="unwritable") from None
    typer.echo(f"wrote {path}")
    return 0
