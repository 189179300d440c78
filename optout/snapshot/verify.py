"""Verifying that a snapshot is whole and unchanged, and telling what is in it."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from optout import dsse
from optout.errors import DoesNotHold
from optout.keys import PublicKey
from optout.snapshot.embeddings import embedding_faults
from optout.snapshot.files import describe_file
from optout.snapshot.manifest import ENVELOPE_NAME, MANIFEST_NAME, PAYLOAD_TYPE, Manifest
from optout.snapshot.pictures import picture_faults
from optout.snapshot.reader import Snapshot, open_snapshot, read_manifest
from optout.snapshot.segment import Segment
from optout.snapshot.tables import fault
from optout.words import Decision, Grade

__all__ = ["inspect_snapshot", "verify_snapshot"]


def verify_snapshot(path: str | Path, *, trust: Sequence[PublicKey]) -> list[str]:
    """Read every byte of a snapshot and check that it is what a trusted key signed.

    Returns:
        what was checked and holds, one sentence each.

    Raises:
        DoesNotHold: with the reason, naming the file; `code` is one of `missing_file`, `extra_file`,
            `wrong_size`, `wrong_digest`, `bad_file`, `bad_manifest`, `bad_version`, `bad_envelope`,
            `wrong_type`, `bad_signature`, `unknown_key`.
    """
    folder = Path(path)
    manifest = read_manifest(folder, trust=trust)
    signer = _require_signature(folder / ENVELOPE_NAME, trust)
    _require_files(folder, manifest)
    for name, entry in manifest.files.items():
        found = describe_file(folder / name, entry.rows)
        if found.size != entry.size:
            raise DoesNotHold(f"{folder / name} has {found.size} bytes, not {entry.size}", code="wrong_size")
        if found.sha256 != entry.sha256:
            raise DoesNotHold(f"{folder / name} was changed: its SHA-256 is another", code="wrong_digest")
    snapshot = open_snapshot(folder, trust=trust)
    for listed, segment in zip(manifest.segments, snapshot.segments, strict=True):
        for complaint in _complaints(snapshot, segment):
            raise DoesNotHold(f"{folder / 'segments' / listed.name}: {complaint}", code="bad_file")
    return [
        f"signed by {signer.key_id}",
        f"{len(manifest.files)} files are as signed",
        f"{len(manifest.segments)} segments with {sum(manifest.counts.values())} selectors are well formed",
    ]


def _require_signature(path: Path, trust: Sequence[PublicKey]) -> PublicKey:
    """The trusted key that signed; an envelope that says the same in other bytes is refused too."""
    content = path.read_bytes()
    envelope = dsse.read_envelope(content, PAYLOAD_TYPE)
    if envelope.to_bytes() != content:
        # No byte without meaning: otherwise a changed one would go unnoticed.
        raise DoesNotHold(f"{path} is not in canonical form", code="bad_envelope")
    return envelope.payload_trusted_by(trust)[1]


def _require_files(folder: Path, manifest: Manifest) -> None:
    """Exactly the files of the manifest, all of them regular files."""
    expected = {*manifest.files, MANIFEST_NAME, ENVELOPE_NAME}
    found = dict(_walk(folder))
    for name in sorted(expected - found.keys()):
        raise DoesNotHold(f"{folder / name} is missing", code="missing_file")
    for name in sorted(found.keys() - expected):
        raise DoesNotHold(f"{folder / name} is not part of the snapshot", code="extra_file")
    for name, mode in found.items():
        if not stat.S_ISREG(mode):
            raise DoesNotHold(f"{folder / name} is no regular file", code="extra_file")


def _walk(folder: Path) -> Iterator[tuple[str, int]]:
    for parent, folders, names in os.walk(folder):
        links = [name for name in folders if Path(parent, name).is_symlink()]
        for name in [*names, *links]:
            path = Path(parent, name)
            yield path.relative_to(folder).as_posix(), path.lstat().st_mode


def _complaints(snapshot: Snapshot, segment: Segment) -> Iterator[str]:
    """What is wrong inside a segment whose files are as signed: a fault of whoever built it."""
    statements = segment.statements
    owners = sum(len(held.owners) for held in snapshot.segments)
    for column in (segment.ids, segment.owners, statements.terms_url, statements.title, segment.refs):
        if column is not None:
            yield from _invalid(column)
    if len(statements.decision) and not np.isin(statements.decision, list(Decision)).all():
        yield "statements.arrow has a decision that does not exist"
    if len(statements.grade) and statements.grade.max() > max(Grade):
        yield "statements.arrow has a grade that does not exist"
    if len(statements.owner) and statements.owner.max() >= owners:
        yield "statements.arrow names an owner that does not exist"
    if segment.claims and segment.statement.max() >= len(statements.owner):
        yield "claims.arrow names a statement that does not exist"
    for kind, table in segment.tables.items():
        found = fault(table, segment.claims)
        if found:
            yield f"{kind.label}.arrow has {found}"
    yield from picture_faults(segment.pictures, segment.claims)
    yield from embedding_faults(segment.embeddings, segment.claims)


def _invalid(column: pa.Array) -> Iterator[str]:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid as error:
        yield f"a text column is broken: {error}"


def inspect_snapshot(path: str | Path) -> dict[str, Any]:
    """What is in a snapshot, for people and for JSON; checks no more than `open_snapshot` does."""
    folder = Path(path)
    snapshot = open_snapshot(folder)
    manifest = snapshot.manifest
    envelope = dsse.read_envelope((folder / ENVELOPE_NAME).read_bytes(), PAYLOAD_TYPE)
    size = sum(entry.size for entry in manifest.files.values())
    selectors = sum(manifest.counts.values())
    return {
        "snapshot": snapshot.digest,
        "version": manifest.version,
        "signed_by": [key_id for key_id, _ in envelope.signatures],
        "checkpoint": manifest.checkpoint,
        "previous": manifest.previous,
        "selectors": manifest.counts,
        "claims": sum(segment.claims for segment in manifest.segments),
        "withdrawn": sum(segment.withdrawn for segment in manifest.segments),
        "owners": sum(len(segment.owners) for segment in snapshot.segments),
        "statements": sum(len(segment.statements.owner) for segment in snapshot.segments),
        "segments": [
            {
                "name": listed.name,
                "claims": listed.claims,
                "withdrawn": listed.withdrawn,
                "selectors": dict(listed.counts),
                "bytes": sum(e.size for n, e in manifest.files.items() if f"/{listed.name}" in n),
            }
            for listed in manifest.segments
        ],
        "files": len(manifest.files),
        "bytes": size,
        "bytes_per_selector": round(size / selectors, 2) if selectors else None,
    }
