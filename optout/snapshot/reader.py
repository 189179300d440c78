"""Opening snapshots and asking them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout import dsse, engine
from optout.embeddings.identity import Thresholds, default_thresholds
from optout.errors import DoesNotHold
from optout.evidence import Evidence, current_evidence
from optout.keys import PublicKey
from optout.names import FirstWords
from optout.snapshot import check, explain
from optout.snapshot.ahead import WINDOW, read_ahead
from optout.snapshot.assemble import segment_columns
from optout.snapshot.embeddings import model_digest, thresholds_of
from optout.snapshot.manifest import ENVELOPE_NAME, MANIFEST_NAME, PAYLOAD_TYPE, Manifest
from optout.snapshot.segment import Segment, map_segment, read_columns
from optout.words import SelectorKind

__all__ = ["Snapshot", "open_snapshot", "read_manifest"]

_URL_KINDS = frozenset({SelectorKind.URL, SelectorKind.PREFIX, SelectorKind.DOMAIN})


@dataclass(frozen=True)
class Snapshot:
    """An open snapshot. It never changes; `with_overlay` gives another that knows more.

    Attributes:
        manifest: what was signed.
        digest: SHA-256 of `manifest.json` in hex. An overlay keeps the digest of what it lies over.
        segments: the base, the deltas, and at most one segment in memory.
    """

    manifest: Manifest
    digest: str
    segments: tuple[Segment, ...]

    @cached_property
    def sip_key(self) -> bytes:
        return bytes.fromhex(self.manifest.sip_key)

    @cached_property
    def evidence(self) -> Evidence:
        """The bounds of the tiers of picture evidence."""
        thresholds = self.manifest.thresholds
        return Evidence.of_record(thresholds) if thresholds else current_evidence()

    @cached_property
    def _thresholds(self) -> dict[str, Thresholds]:
        return thresholds_of(self.manifest.models)

    def thresholds(self, model: str) -> Thresholds:
        """The least cosines of embeddings of `model`; defaults where the snapshot has no record of it."""
        return self._thresholds.get(model) or default_thresholds(model)

    def has_model(self, model: str, dimension: int) -> bool:
        """Whether there are claims by such embeddings; those of other models are never compared with them."""
        return any(model_digest(model, dimension) in segment.embeddings for segment in self.segments)

    @cached_property
    def url_kinds(self) -> frozenset[SelectorKind]:
        """The kinds that are looked up by URL and that the snapshot has selectors of."""
        return frozenset(kind for segment in self.segments for kind in segment.tables) & _URL_KINDS

    @cached_property
    def first_words(self) -> FirstWords | None:
        """The first words of all names, ready to be asked; None when there are no names."""
        held = [segment for segment in self.segments if len(segment.first_words)]
        if not held:
            return None
        words, group = np.unique(
            np.concatenate([segment.first_words for segment in held]), return_inverse=True
        )
        longest = np.zeros(len(words), np.uint8)
        np.maximum.at(longest, group, np.concatenate([segment.longest for segment in held]))
        return FirstWords.of(words, longest)

    def expect(self, urls: int) -> bool:
        """Tell that so many URLs will be judged; True when that is reason to read their tables ahead."""
        # A search at random places would bring in as much: one window of the file for each URL.
        touched = urls * WINDOW
        return touched >= sum(array.nbytes for array in self._searched) and self._ahead > 0

    @cached_property
    def _searched(self) -> list[npt.NDArray[Any]]:
        """What every look-up of a URL reads."""
        tables = (segment.tables.get(kind) for segment in self.segments for kind in _URL_KINDS)
        return [array for table in tables if table is not None for array in (table.offsets, table.key)]

    @cached_property
    def _ahead(self) -> int:
        """Read the tables ahead, once; how many there are."""
        for array in self._searched:
            read_ahead(array)
        return len(self._searched)

    def claims(self, segment: int) -> int:
        """How many claims a segment holds, withdrawn ones included."""
        return self.segments[segment].claims

    def judge(
        self, items: engine.Items, question: engine.Question, *, look_for: engine.Tier | None = None
    ) -> engine.Verdicts:
        """Answer `question` about each of `items`; see `engine.judge`."""
        return engine.judge(self, items, question, look_for=look_for)

    def explain(self, items: engine.Items, verdicts: engine.Verdicts, row: int) -> list[explain.Reason]:
        """Why `verdicts` says what it does about item `row`: what decided, then all else that counts."""
        return explain.explain_rows(self, items, verdicts, [row])[0]

    def check(self, items: Sequence[Mapping[str, Any]], question: engine.Question) -> list[dict[str, Any]]:
        """Judge and explain single items.

        Args:
            items: each with some of `url`, `text` (the caption), `sha256`, `md5`, `picture` (a fingerprint,
                or the `PictureProbes` of `hash_probes`), `clip` (an embedding, by whatever model),
                and the bare hashes `phash` and `pdq`.
            question: what is asked.

        Returns:
            for each item `outcome`, `error` (a label or None), `reasons` and `flags`: the same for what takes
            no part in the rule, names met in the caption unless they are to be removed, and evidence of a
            tier weaker than asked for.

        Raises:
            BadInput: an item has a field that is not known or not text (`bad_item`); its number is named. Or
                there are embeddings by too many models (`several_models`).
        """
        return check.check_items(self, items, question)

    def with_withdrawn(self, withdrawn: Sequence[bytes]) -> Snapshot:
        """This snapshot without the claims that have these 16-byte ids; unknown ids change nothing."""
        if not withdrawn:
            return self
        return replace(self, segments=tuple(_withdraw(segment, withdrawn) for segment in self.segments))

    def with_overlay(self, claims: pa.Table, withdrawn: Sequence[bytes] = ()) -> Snapshot:
        """This snapshot and what came after it, in memory.

        Args:
            claims: new claims, a table of `exchange.CLAIM_SCHEMA`.
            withdrawn: 16-byte ids of claims of this snapshot that no longer count; the new claims all do.

        Raises:
            BadInput: the table lacks columns (`bad_claims`) or has a kind of no use (`unsupported_kind`).
        """
        kept = self.with_withdrawn(withdrawn)
        if not claims.num_rows:
            return kept
        files, _ = segment_columns([claims], self.sip_key, self.evidence, self.segments)
        overlay = Segment.from_columns("", files, _owners(self.segments))
        return replace(kept, segments=(*kept.segments, overlay))


def _owners(segments: Sequence[Segment]) -> int:
    return sum(len(segment.owners) for segment in segments)


def _withdraw(segment: Segment, withdrawn: Sequence[bytes]) -> Segment:
    places = segment.find_claims(withdrawn)
    if not len(places):
        return segment
    bits = (
        np.zeros((segment.claims + 7) // 8, np.uint8)
        if segment.withdrawn is None
        else segment.withdrawn.copy()
    )
    np.bitwise_or.at(bits, places >> 3, (1 << (places & 7)).astype(np.uint8))
    return segment.with_withdrawn(bits)


def open_snapshot(path: str | Path, *, trust: Sequence[PublicKey] = ()) -> Snapshot:
    """Memory-map the snapshot in directory `path`.

    Checks that it is whole: manifest, signature file, every file with its size. With `trust` the signature
    must be by one of these keys. The digests of the files are left to `verify_snapshot`, which reads all.

    Raises:
        DoesNotHold: not a whole snapshot, or the signature does not hold; the message names the file.
    """
    folder = Path(path)
    manifest = read_manifest(folder, trust=trust)
    for name, entry in manifest.files.items():
        _require_size(folder / name, entry.size)
    segments: list[Segment] = []
    for listed in manifest.segments:
        prefix = f"segments/{listed.name}/"
        files = {
            name.removeprefix(prefix).removesuffix(".arrow"): entry.rows
            for name, entry in manifest.files.items()
            if name.startswith(prefix)
        }
        segment = map_segment(folder / "segments" / listed.name, files, _owners(segments))
        bitmap = manifest.files.get(f"withdrawn/{listed.name}.arrow")
        if bitmap is not None:
            segment = segment.with_withdrawn(_read_withdrawn(folder, segment, bitmap.rows))
        segments.append(segment)
    opened = Snapshot(manifest, manifest.digest, tuple(segments))
    # Bounds that make no sense are refused now, not at the first picture.
    _ = opened.evidence, opened._thresholds
    return opened


def _read_withdrawn(folder: Path, segment: Segment, rows: int) -> npt.NDArray[np.uint8]:
    path = folder / "withdrawn" / f"{segment.name}.arrow"
    if rows != (segment.claims + 7) // 8:
        raise DoesNotHold(f"{path} does not fit {segment.claims} claims", code="bad_file")
    bits: npt.NDArray[np.uint8] = read_columns(path, rows, "withdrawn")["bits"]
    return bits


def read_manifest(folder: Path, *, trust: Sequence[PublicKey] = ()) -> Manifest:
    """Read the manifest, and check its signature if there are keys to trust.

    Raises:
        DoesNotHold: either file is missing (`missing_file`), they do not belong together (`bad_signature`),
            or what `Manifest.from_bytes` and `dsse` raise.
    """
    content, envelope = (_read(folder / name) for name in (MANIFEST_NAME, ENVELOPE_NAME))
    try:
        parsed = dsse.read_envelope(envelope, PAYLOAD_TYPE)
        if trust:
            parsed.payload_trusted_by(trust)
    except DoesNotHold as error:
        raise DoesNotHold(f"{folder / ENVELOPE_NAME}: {error}", code=error.code) from None
    if parsed.payload != content:
        raise DoesNotHold(f"{folder / MANIFEST_NAME} is not what {ENVELOPE_NAME} signs", code="bad_signature")
    return Manifest.from_bytes(content)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"{path} cannot be read ({error.strerror}): not a whole snapshot"
        raise DoesNotHold(reason, code="missing_file") from None


def _require_size(path: Path, size: int) -> None:
    try:
        found = path.stat().st_size
    except OSError:
        raise DoesNotHold(f"{path} is missing", code="missing_file") from None
    if found != size:
        raise DoesNotHold(f"{path} has {found} bytes, not {size}", code="wrong_size")
