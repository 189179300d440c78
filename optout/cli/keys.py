"""`optout keygen`."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from optout.cli.common import JsonOption, print_json

__all__ = ["keygen"]


def keygen(
    directory: Annotated[
        Path, typer.Argument(help="Where to put private.pem and public.pem.", show_default=False)
    ],
    days: Annotated[
        int | None,
        typer.Option(
            "--valid-days",
            min=1,
            help="How long it is to be trusted; for good if left out.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make an Ed25519 key pair. Keep private.pem to yourself; give public.pem to whoever checks."""
    from optout.keys import PRIVATE_NAME, PUBLIC_NAME, generate

    made = generate(directory, valid=None if days is None else timedelta(days=days))
    private, public = str(directory / PRIVATE_NAME), str(directory / PUBLIC_NAME)
    if as_json:
        print_json({"private": private, "public": public, "key_id": made.key_id})
    else:
        typer.echo(f"{private}   sign with this one; readable by you alone")
        typer.echo(f"{public}    give this one away")
        typer.echo(f"key id {made.key_id}")
