"""Receipt chains: a receipt that carries the receipts of the runs its data came from.

Metadata is filtered, the pictures are downloaded, then the pictures are filtered: the second receipt carries
the first one whole, so that whoever holds it can check both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from optout.errors import BadInput, DoesNotHold
from optout.keys import PublicKey

if TYPE_CHECKING:
    from optout.receipt import Finding

__all__ = ["check_parents", "digests_of", "read_parents"]


def read_parents(paths: Iterable[str | Path]) -> list[dict[str, str]]:
    """What a receipt says of its parents: of each the SHA-256 of its bytes and its text, in order of digests.

    Signatures are not checked here; `optout verify` does.

    Raises:
        BadInput: there is no such file (`no_such_file`), or it is no receipt (`bad_receipt`).
    """
    found = {}
    for path in paths:
        try:
            content = Path(path).read_bytes()
        except OSError as error:
            raise BadInput(f"cannot read the receipt {path}: {error.strerror}", code="no_such_file") from None
        found[hashlib.sha256(content).hexdigest()] = _text_of_receipt(content, path)
    return [{"sha256": digest, "receipt": text} for digest, text in sorted(found.items())]


def _text_of_receipt(content: bytes, path: str | Path) -> str:
    from optout import dsse
    from optout.receipt import PAYLOAD_TYPE, statement_in

    try:
        statement_in(dsse.read_envelope(content, PAYLOAD_TYPE).payload)
        return content.decode()
    except (DoesNotHold, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a receipt: {error}", code="bad_receipt") from None


def digests_of(predicate: Mapping[str, Any]) -> list[str]:
    """SHA-256 in hex of the receipts that a receipt came after, in order."""
    return [str(parent["sha256"]) for parent in predicate.get("parents", ())]


def check_parents(
    predicate: Mapping[str, Any], trust: Sequence[PublicKey], *, after: str = ""
) -> Iterator[Finding]:
    """What holds about the receipts that a receipt carries, and about theirs.

    Args:
        predicate: of the receipt that carries them; its own signature was checked.
        trust: keys that may have signed them.
        after: what the carrying receipt is called in the findings; empty for the first of the chain.
    """
    from optout.receipt import Finding, open_statement

    for parent in predicate.get("parents", ()):
        name = f"{after}parent {parent['sha256'][:16]}"
        # Whoever signed may have left the receipt itself out.
        content = str(parent.get("receipt", "")).encode()
        if hashlib.sha256(content).hexdigest() != parent["sha256"]:
            yield Finding(False, name, "changed_parent", "the receipt carried is another than the one named")
            continue
        try:
            earlier = open_statement(content, trust, name)["predicate"]
        except DoesNotHold as error:
            yield Finding(False, name, error.code, str(error))
            continue
        yield _weigh(predicate, earlier, name)
        yield from check_parents(earlier, trust, after=f"{name}, its ")


def _weigh(predicate: Mapping[str, Any], earlier: Mapping[str, Any], name: str) -> Finding:
    """Whether an earlier run was asked the same; what links it to this one."""
    from optout.receipt import Finding

    before, now = earlier["question"]["use"], predicate["question"]["use"]
    if before != now:
        return Finding(False, name, "other_use", f"it was filtered for {before}, this for {now}")
    kept = earlier["counts"]["kept"]
    detail = f"signed by a trusted key: {kept:,} rows passed snapshot {earlier['snapshot']['digest'][:16]}"
    return Finding(True, name, "ok", detail)
