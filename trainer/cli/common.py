"""What the commands share: options, and the keys they name."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from optout.errors import UsageError
from optout.keys import PRIVATE_NAME, PrivateKey, load_private, load_public

__all__ = ["DataOption", "MaxAgeOption", "NewerOption", "ReceiptOption", "days", "signing_key"]

DataOption = Annotated[
    Path,
    typer.Option("--data", "-d", help="Filtered data: tars of img2dataset, or pictures.", show_default=False),
]
ReceiptOption = Annotated[
    Path | None,
    typer.Option("--receipt", "-r", help="Its receipt; DATA/receipt.json if left out.", show_default=False),
]
NewerOption = Annotated[
    Path | None,
    typer.Option(
        "--snapshot",
        "-s",
        help="A newer snapshot: refuse the data if it does not let everything pass.",
        show_default=False,
    ),
]
MaxAgeOption = Annotated[
    int,
    typer.Option(
        "--max-snapshot-age",
        min=0,
        metavar="DAYS",
        help="How many days ago the snapshot may have been asked.",
    ),
]


def days(count: int) -> timedelta:
    """A number of days."""
    return timedelta(days=count)


def signing_key(
    key: Path | None, trust: list[Path] | None, *, unsigned: bool
) -> tuple[PrivateKey | None, str]:
    """The key that signs the model's statement, and a sentence about it.

    Without `--key` it is the private half that lies beside a trusted key, where `optout keygen` puts it:
    whoever may sign receipts there may sign models.

    Raises:
        BadInput: the key cannot be read.
        UsageError: `--key` and `--unsigned` together (`key_and_unsigned`).
    """
    if unsigned:
        if key is not None:
            raise UsageError("--key and --unsigned do not go together", code="key_and_unsigned")
        return None, "the model will be unsigned, as asked"
    if key is not None:
        return load_private(key), f"the model's statement will be signed with {key}"
    for public in trust or ():
        beside = public.parent / PRIVATE_NAME
        if beside.is_file():
            found = load_private(beside)
            if found.key_id == load_public(public).key_id:
                return (
                    found,
                    f"the model's statement will be signed with {beside}, the other half of {public}",
                )
    return None, "the model will be unsigned: give --key PRIVATE.PEM to sign its statement"
