"""Building snapshots: claims in any order in, a signed directory out."""

import hashlib
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout import dsse
from optout.errors import DoesNotHold, UsageError
from optout.evidence import current_evidence, evidence_record
from optout.keys import PrivateKey
from optout.locators import hash_strings
from optout.snapshot.assemble import claim_batches, segment_columns
from optout.snapshot.collect import ClaimCollector, id_halves
from optout.snapshot.embeddings import is_embeddings, model_records
from optout.snapshot.files import atomic_directory, describe_file, publish, write_batch
from optout.snapshot.manifest import (
    ENVELOPE_NAME,
    MANIFEST_NAME,
    PAYLOAD_TYPE,
    FileEntry,
    Manifest,
    SegmentEntry,
    canonical_json,
)
from optout.snapshot.pictures import PICTURE_KINDS
from optout.snapshot.reader import open_snapshot
from optout.snapshot.segment import LOCATOR_KINDS, Columns
from optout.snapshot.selectors import SelectorCollector
from optout.snapshot.verify import verify_snapshot
from optout.words import SelectorKind

__all__ = ["build_delta", "build_snapshot"]

U64 = npt.NDArray[np.uint64]

#: Key of the hashes that the sip key is made from. It is public: what keeps a colliding locator from being
#: prepared is that nobody knows all the claims of the next base.
_CONTENT_KEY = b"optout-snapshot\0"

_SPOOL = pa.schema([("kind", pa.uint8()), ("value", pa.large_string()), ("claim", pa.uint32())])


def build_snapshot(
    claims: Iterable[pa.Table],
    out: str | Path,
    *,
    private_key: PrivateKey,
    checkpoint: Mapping[str, Any] | None = None,
    previous: str | None = None,
    models: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    """Write a snapshot with one base segment.

    The same claims, key, checkpoint and `previous` give the same bytes, whatever the order of the rows.
    Nothing is seen at `out` before it is whole. Canonical values wait in a file beside `out` until all claims
    are known (about 70 bytes a locator), since the key of the hashes depends on all of them.

    Args:
        claims: tables of `exchange.CLAIM_SCHEMA`; one claim id has one ref.
        out: the directory to make. If it holds this very snapshot already, nothing is done.
        private_key: signs the manifest.
        checkpoint: recorded as it is.
        previous: digest of the snapshot this one follows.
        models: records of embedding models (`ModelRecord.as_dict`), for their thresholds.

    Raises:
        UsageError: something else is at `out` (`exists`), or the place cannot be written (`unwritable`).
        BadInput: a table lacks columns (`bad_claims`) or has a selector kind of no use (`unsupported_kind`).
        OptoutError: the disk is full (`disk_full`) or writing failed (`write_failed`).
    """
    out = Path(out)
    _require_replaceable(out)
    with atomic_directory(out) as folder:
        collector, spool = ClaimCollector(), folder / "spool.arrow"
        sip_key = _spool_claims(claims, collector, spool)
        files, met = _base_columns(collector, spool, sip_key)
        spool.unlink()
        segment, entries = _write_segment(folder, "0000-base", files)
        records = model_records(models, met)
        manifest = Manifest(
            sip_key.hex(), (segment,), entries, checkpoint, previous, evidence_record(), records
        )
        return _seal(folder, out, manifest, private_key)


def build_delta(
    previous: str | Path,
    claims: Iterable[pa.Table],
    withdrawn: Sequence[bytes],
    out: str | Path,
    *,
    private_key: PrivateKey,
    checkpoint: Mapping[str, Any] | None = None,
    models: Sequence[Mapping[str, Any]] = (),
) -> Manifest:
    """Write the snapshot that follows `previous`: its segments as they are, one more, and withdrawals.

    The files of earlier segments become hard links where the file system has them. The ids in `withdrawn` are
    withdrawn from the earlier segments only, so a changed claim is withdrawn and given anew in one delta.

    Args:
        previous: directory of the snapshot to carry on from.
        claims: the new claims, as for `build_snapshot`; may be none.
        withdrawn: 16-byte ids; those that no segment holds change nothing.
        out: the directory to make.
        private_key: signs the manifest.
        checkpoint: recorded as it is.
        models: as for `build_snapshot`, in the place of what `previous` says of the same models.

    Raises:
        DoesNotHold: `previous` is not a whole snapshot.
        UsageError, BadInput, OptoutError: as for `build_snapshot`.
    """
    out = Path(out)
    _require_replaceable(out)
    before = open_snapshot(previous)
    after = before.with_withdrawn(withdrawn)
    with atomic_directory(out) as folder:
        entries = {
            name: entry for name, entry in before.manifest.files.items() if name.startswith("segments/")
        }
        for name in entries:
            _link(Path(previous) / name, folder / name)
        segments = list(before.manifest.segments)
        files, met = segment_columns(claims, before.sip_key, before.evidence, before.segments)
        if len(files["claims"]["id"]):
            segment, added = _write_segment(folder, f"{len(segments):04d}-delta", files)
            segments.append(segment)
            entries |= added
        for at, held in enumerate(after.segments):
            if held.withdrawn is not None:
                name = f"withdrawn/{held.name}.arrow"
                entries[name] = _write_file(folder / name, {"bits": held.withdrawn})
                segments[at] = replace(segments[at], withdrawn=int(np.unpackbits(held.withdrawn).sum()))
        manifest = replace(
            before.manifest,
            segments=tuple(segments),
            files=entries,
            checkpoint=checkpoint,
            previous=before.digest,
            # Those that its codes were chosen by, though they be of an earlier version.
            thresholds=before.manifest.thresholds or evidence_record(),
            models=model_records([*before.manifest.models, *models], met),
        )
        return _seal(folder, out, manifest, private_key)


def _spool_claims(claims: Iterable[pa.Table], collector: ClaimCollector, spool: Path) -> bytes:
    """Keep the selectors of all claims in a file, and derive the sip key from them."""
    digests: list[U64] = []
    with pa.OSFile(str(spool), "wb") as sink, pa.ipc.new_file(sink, _SPOOL) as writer:
        for batch in claim_batches(claims):
            columns = [batch.column("kind"), batch.column("value"), pa.array(collector.add(batch))]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_SPOOL))
            digests.append(_row_digests(batch))
    rows = np.sort(np.concatenate(digests)) if digests else np.empty(0, np.uint64)
    fresh = np.ones(len(rows), np.bool_)
    fresh[1:] = rows[1:] != rows[:-1]
    # A row that was sent twice is one row: the digest is that of the set.
    return hashlib.sha256(rows[fresh].astype("<u8").data).digest()[:16]


def _row_digests(batch: pa.RecordBatch) -> U64:
    high, low = id_halves(batch.column("claim_id"))
    kind = np.asarray(batch.column("kind")).astype(np.uint64)
    value = hash_strings(batch.column("value"), _CONTENT_KEY)
    # Sums of odd multiples modulo 2**64: rows that differ in one part only always differ.
    mixed: U64 = (
        value
        + high * np.uint64(0x9E3779B97F4A7C15)
        + low * np.uint64(0xC2B2AE3D27D4EB4F)
        + kind * np.uint64(0x165667B19E3779F9)
    )
    return mixed


def _base_columns(
    collector: ClaimCollector, spool: Path, sip_key: bytes
) -> tuple[dict[str, Columns], set[str]]:
    selectors = SelectorCollector(sip_key, current_evidence())
    # Read, not mapped: mapped pages would count as memory of this process.
    with pa.OSFile(str(spool), "rb") as source, pa.ipc.open_file(source) as reader:
        for at in range(reader.num_record_batches):
            batch = reader.get_batch(at)
            selectors.add(
                np.asarray(batch.column("kind")), batch.column("value"), np.asarray(batch.column("claim"))
            )
    files, final = collector.finish(())
    return files | selectors.finish(final), selectors.models


def _write_segment(
    folder: Path, prefix: str, files: Mapping[str, Columns]
) -> tuple[SegmentEntry, dict[str, FileEntry]]:
    """Write the files of a segment into `segments/`, under a name that tells its content."""
    unnamed = folder / "segments" / "unnamed"
    entries = {
        f"{stem}.arrow": _write_file(unnamed / f"{stem}.arrow", columns) for stem, columns in files.items()
    }
    content = canonical_json({name: entry.sha256 for name, entry in entries.items()})
    name = f"{prefix}-{hashlib.sha256(content).hexdigest()[:16]}"
    unnamed.rename(folder / "segments" / name)
    labels = [kind.label for kind in (*LOCATOR_KINDS, *PICTURE_KINDS) if kind.label in files]
    counts = {label: len(files[label]["claim"]) for label in labels}
    embeddings = [len(columns["claim"]) for stem, columns in files.items() if is_embeddings(stem)]
    if embeddings:
        counts[SelectorKind.CLIP.label] = sum(embeddings)
    segment = SegmentEntry(name, len(files["claims"]["id"]), counts)
    return segment, {f"segments/{name}/{file}": entry for file, entry in entries.items()}


def _write_file(path: Path, columns: Columns) -> FileEntry:
    write_batch(path, columns)
    return describe_file(path, len(next(iter(columns.values()))))


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _require_replaceable(out: Path) -> None:
    """Refuse early what would be refused at the end."""
    if out.is_symlink() or (out.exists() and not out.is_dir()):
        raise UsageError(f"{out} is there already and is no directory", code="exists")
    if out.is_dir() and any(out.iterdir()) and not (out / MANIFEST_NAME).exists():
        raise UsageError(f"{out} is there already and is no snapshot", code="exists")


def _seal(folder: Path, out: Path, manifest: Manifest, private_key: PrivateKey) -> Manifest:
    """Write and sign the manifest, then let the snapshot appear; nothing to do if it is there already."""
    content = manifest.to_bytes()
    if (out / MANIFEST_NAME).exists():
        if (out / MANIFEST_NAME).read_bytes() != content:
            raise UsageError(f"{out} is there already and holds another snapshot", code="exists")
        try:
            verify_snapshot(out, trust=[private_key.public])
        except DoesNotHold as error:
            raise UsageError(f"{out} is there already and does not hold: {error}", code="exists") from None
        return manifest
    (folder / MANIFEST_NAME).write_bytes(content)
    (folder / ENVELOPE_NAME).write_bytes(dsse.sign(content, PAYLOAD_TYPE, private_key))
    publish(folder, out)
    return manifest
