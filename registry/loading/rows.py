"""What the rows of one chunk mean for one party, as Arrow tables."""

import hashlib
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.exchange import Rejected, named_uses
from optout.words import Grade
from registry.identifiers import uuid7_hex
from registry.models import Party
from registry.services.domains import LOCATED_KINDS, hosts_of_others, provers, selector_host

__all__ = ["Split", "permitted", "split"]

#: The named uses for every mask of covered uses.
_NAMED = np.array([int(named_uses(covered)) for covered in range(32)], np.uint8)
_EXCERPT = 200


class Split(NamedTuple):
    """One chunk's rows, grouped.

    Attributes:
        claims: one row a claim: n (its number in the chunk) and what it states.
        selectors: one row a row of the file: row, n, kind, digest (hex), value.
    """

    claims: pa.Table
    selectors: pa.Table


def permitted(rows: pa.Table, party: Party) -> tuple[pa.Table, npt.NDArray[np.bool_], list[Rejected]]:
    """Leave out what the party may not say.

    Args:
        rows: a table of CLAIM_SCHEMA whose default owner is the party's handle.
        party: who sent the rows.

    Returns:
        the rows kept, for each whether it lies on a domain the party has proven, and the rows refused.
    """
    refused = np.full(rows.num_rows, "", object)
    detail = np.full(rows.num_rows, "", object)
    _check_owners(rows["owner"], party, refused, detail)
    proven = _check_domains(rows, party, refused, detail)
    bad = np.flatnonzero(refused != "")
    taken = rows.take(pa.array(bad))
    rejected = [
        Rejected(row, refused[at], detail[at], value[:_EXCERPT])
        for at, row, value in zip(bad, taken["row"].to_pylist(), taken["value"].to_pylist(), strict=True)
    ]
    keep = refused == ""
    return rows.filter(pa.array(keep)), proven[keep], rejected


def _check_owners(
    owners: pa.ChunkedArray, party: Party, refused: npt.NDArray[np.object_], detail: npt.NDArray[np.object_]
) -> None:
    foreign = pc.not_equal(owners, party.handle)
    if party.kind != Party.Kind.PLATFORM:
        where = _where(foreign)
        refused[where] = "not_a_platform"
        detail[where] = "Only a platform may speak for somebody else."
        return
    where = _where(pc.match_substring_regex(owners, r"[/\x00-\x1f\x7f]"))
    refused[where] = "invalid_owner"
    detail[where] = "An owner holds no slash and no control characters."


def _check_domains(
    rows: pa.Table, party: Party, refused: npt.NDArray[np.object_], detail: npt.NDArray[np.object_]
) -> npt.NDArray[np.bool_]:
    """Refuse rows on others' proven domains; returns which rows lie on the party's own."""
    own = np.zeros(rows.num_rows, bool)
    located = _where(pc.is_in(rows["kind"], pa.array([int(kind) for kind in LOCATED_KINDS], pa.uint8())))
    heads = pc.replace_substring_regex(rows["value"].take(pa.array(located)), r"[/?].*$", "")
    encoded = heads.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    kind = min(LOCATED_KINDS)
    hosts = [selector_host(kind, head) or "" for head in encoded.dictionary.to_pylist()]
    proven = provers(hosts)
    foreign = hosts_of_others(party, proven)
    codes = encoded.indices.to_numpy()
    is_foreign = np.array([host in foreign for host in hosts], bool)
    is_own = np.array([party.pk in proven[host] for host in hosts], bool)
    if len(codes):
        own[located] = is_own[codes]
        for at, code in zip(located[is_foreign[codes]], codes[is_foreign[codes]], strict=True):
            refused[at] = refused[at] or "domain_verified_by_other"
            detail[at] = detail[at] or f"Another party has proven that {hosts[code]} is theirs."
    return own


def _where(flags: pa.ChunkedArray) -> npt.NDArray[np.intp]:
    return np.flatnonzero(flags.to_numpy())


def split(rows: pa.Table, proven: npt.NDArray[np.bool_], party: Party) -> Split:
    """Group rows into claims and selectors.

    Args:
        rows: permitted rows.
        proven: which of them lie on a domain the party has proven.
        party: who sent the rows.
    """
    number = rows["claim_id"].combine_chunks().dictionary_encode().indices.to_numpy()
    _, first = np.unique(number, return_index=True)
    all_proven = np.ones(len(first), bool)
    np.logical_and.at(all_proven, number, proven)
    return Split(_claims(rows.take(pa.array(first)), all_proven, party), _selectors(rows, number))


def _claims(firsts: pa.Table, proven: npt.NDArray[np.bool_], party: Party) -> pa.Table:
    own = pc.equal(firsts["owner"], party.handle)
    stated = np.where(own.to_numpy(), int(Grade.STATED), int(Grade.VOUCHED))
    keys = [claim_id.hex() for claim_id in firsts["claim_id"].to_pylist()]
    unnamed = pc.equal(firsts["ref"], "")
    return pa.table(
        {
            "n": np.arange(firsts.num_rows),
            "public_id": uuid7_hex(firsts.num_rows),
            "owner": pc.if_else(own, "", firsts["owner"]),
            "ref": firsts["ref"],
            "content_key": pc.if_else(unnamed, pa.array(keys, pa.string()), pa.scalar(None, pa.string())),
            "decision": firsts["decision"],
            "uses": _NAMED[firsts["uses"].to_numpy()],
            "grade": np.where(proven, int(Grade.DOMAIN_PROVEN), stated),
            "valid_from": firsts["valid_from"],
            "terms_url": firsts["terms_url"],
            "title": firsts["title"],
            "leads": firsts["leads"],
        }
    )


def _selectors(rows: pa.Table, number: npt.NDArray[np.int32]) -> pa.Table:
    sha256 = hashlib.sha256
    digests = [sha256(value.encode()).hexdigest()[:32] for value in rows["value"].to_pylist()]
    return pa.table(
        {"row": rows["row"], "n": number, "kind": rows["kind"], "digest": digests, "value": rows["value"]}
    )
