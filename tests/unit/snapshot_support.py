"""Claims and snapshots for tests: real locators, real keys, short to write."""

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from optout.exchange import CLAIM_SCHEMA
from optout.keys import PrivateKey
from optout.snapshot import Snapshot, build_snapshot, open_snapshot
from optout.words import Decision, Grade, SelectorKind, Use

KEY = PrivateKey(Ed25519PrivateKey.from_private_bytes(b"k" * 32))
STRANGER = PrivateKey(Ed25519PrivateKey.from_private_bytes(b"x" * 32))

Row = dict[str, Any]


def claim(
    kind: str,
    value: str,
    *,
    decision: str = "deny",
    uses: Use = Use.TDM,
    owner: str = "ann",
    ref: str = "",
    grade: Grade = Grade.STATED,
    valid_from: datetime | None = None,
    terms_url: str = "",
    title: str = "",
) -> Row:
    """One row of `CLAIM_SCHEMA`; rows that state the same for the same owner belong to one claim."""
    stated = (owner, ref) if ref else (owner, decision, uses, valid_from, terms_url, title)
    return {
        "row": 1,
        "kind": SelectorKind.parse(kind),
        "value": value,
        "decision": Decision[decision.upper()],
        "uses": uses.covered,
        "owner": owner,
        "ref": ref,
        "valid_from": valid_from,
        "terms_url": terms_url,
        "title": title,
        "grade": grade,
        "claim_id": hashlib.sha256(repr(stated).encode()).digest()[:16],
    }


def table(rows: Sequence[Row]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), schema=CLAIM_SCHEMA)


def built(out: Path, *rows: Row) -> Snapshot:
    build_snapshot([table(rows)], out, private_key=KEY)
    return open_snapshot(out, trust=[KEY.public])


def content(folder: Path) -> dict[str, bytes]:
    """Every file below `folder` by its relative path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }
