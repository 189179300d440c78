"""Reading, checking and writing claim exchange files: one row a selector (docs/claim-exchange.md)."""

from optout.exchange.parse import parse_claims
from optout.exchange.read import read_claims
from optout.exchange.schema import CLAIM_SCHEMA, COLUMNS, NEEDED_COLUMNS, ClaimBatch, Rejected, named_uses
from optout.exchange.selectors import SUPPORTED_KINDS, validate_selector
from optout.exchange.write import write_claims

__all__ = [
    "CLAIM_SCHEMA",
    "COLUMNS",
    "NEEDED_COLUMNS",
    "SUPPORTED_KINDS",
    "ClaimBatch",
    "Rejected",
    "named_uses",
    "parse_claims",
    "read_claims",
    "validate_selector",
    "write_claims",
]
