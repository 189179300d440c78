"""What a claim exchange row becomes, and the limits each of its texts keeps to."""

from typing import NamedTuple

import pyarrow as pa

from optout.words import Use

__all__ = ["CLAIM_SCHEMA", "COLUMNS", "NEEDED_COLUMNS", "ClaimBatch", "Rejected", "excerpt_of", "named_uses"]

#: The columns of the exchange format, in the order in which they are written.
COLUMNS = ("selector", "value", "decision", "uses", "owner", "ref", "valid_from", "terms_url", "title")
NEEDED_COLUMNS = ("selector", "value")

#: Longest text accepted, in characters.
TEXT_LIMITS = {"owner": 200, "ref": 200, "terms_url": 2000, "title": 500}
EXCERPT_CHARS = 200

CLAIM_SCHEMA = pa.schema(
    [
        pa.field("row", pa.int64(), nullable=False),
        pa.field("kind", pa.uint8(), nullable=False),
        pa.field("value", pa.large_string(), nullable=False),
        pa.field("decision", pa.uint8(), nullable=False),
        pa.field("uses", pa.uint8(), nullable=False),
        pa.field("owner", pa.large_string(), nullable=False),
        pa.field("ref", pa.large_string(), nullable=False),
        pa.field("valid_from", pa.timestamp("us", tz="UTC")),
        pa.field("terms_url", pa.large_string(), nullable=False),
        pa.field("title", pa.large_string(), nullable=False),
        pa.field("grade", pa.uint8(), nullable=False),
        pa.field("claim_id", pa.binary(16), nullable=False),
    ]
)


class Rejected(NamedTuple):
    """A row that was left out: its number as an editor or spreadsheet shows it, and why."""

    row: int
    code: str
    detail: str
    excerpt: str


class ClaimBatch(NamedTuple):
    """The good rows of one block as a table of `CLAIM_SCHEMA`, and the bad ones."""

    claims: pa.Table
    rejected: list[Rejected]


def excerpt_of(text: str | bytes) -> str:
    """The start of `text`, short and printable, for showing beside an error."""
    if isinstance(text, bytes):
        text = text[: 4 * EXCERPT_CHARS].decode("utf-8", "backslashreplace")
    shown = "".join(
        char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text[:EXCERPT_CHARS]
    )
    return shown if len(text) <= EXCERPT_CHARS else shown[: EXCERPT_CHARS - 1] + "…"


def named_uses(covered: int) -> Use:
    """The fewest uses whose coverage is `covered`: what a person would write."""
    uses = Use(covered)
    if uses & Use.TDM:
        uses &= ~Use.AI_TRAIN
    if uses & (Use.TDM | Use.AI_TRAIN):
        uses &= ~Use.AI_TRAIN_GENERATIVE
    return uses
