"""Selectors in, entries of locator tables out."""

import hashlib
from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.errors import BadInput
from optout.evidence import Evidence
from optout.locators import hash_strings, variant_keys
from optout.snapshot.embeddings import EmbeddingCollector
from optout.snapshot.pictures import PICTURE_KINDS, PictureCollector
from optout.snapshot.segment import CHECKED_KINDS, LOCATOR_KINDS, Columns
from optout.snapshot.tables import Entries, make_table
from optout.words import SelectorKind

__all__ = ["SelectorCollector", "digest_keys"]

U8 = npt.NDArray[np.uint8]
U32 = npt.NDArray[np.uint32]
U64 = npt.NDArray[np.uint64]

LOW_BITS = np.uint64(0xFFFFFFFF)


class SelectorCollector:
    """Gathers the entries of a segment batch by batch, locators hashed with its key."""

    def __init__(self, sip_key: bytes, evidence: Evidence) -> None:
        self._sip_key = sip_key
        self._entries: dict[SelectorKind, list[Entries]] = {}
        self._first_words: list[tuple[U64, U8]] = []
        self._pictures = PictureCollector(evidence)
        self._embeddings = EmbeddingCollector()

    def add(self, kinds: U8, values: pa.Array, claim: U32) -> None:
        """Take in selectors: kind uint8[n], canonical value large_string[n], claim uint32[n].

        Raises:
            BadInput: a kind that snapshots cannot hold (`unsupported_kind`), or a value that is not canonical
                (`bad_claims`).
        """
        for number in np.unique(kinds):
            kind = _supported(int(number))
            whole = bool((kinds == number).all())
            rows = np.flatnonzero(kinds == number)
            texts = values if whole else values.take(pa.array(rows))
            claims = claim if whole else claim[rows]
            if kind in PICTURE_KINDS:
                self._pictures.add(kind, texts, claims)
            elif kind is SelectorKind.CLIP:
                self._embeddings.add(texts, claims)
            else:
                self._entries.setdefault(kind, []).append(Entries(*self._hash(kind, texts), claims))

    def _hash(self, kind: SelectorKind, texts: pa.Array) -> tuple[U64, U32 | None]:
        if kind is SelectorKind.URL:
            variants = variant_keys(texts)
            if variants.null_count:
                value = texts[int(np.argmax(~np.asarray(variants.is_valid())))].as_py()
                raise BadInput(f"{value!r} is not a canonical locator", code="bad_claims")
            check = hash_strings(texts, self._sip_key) & LOW_BITS
            return hash_strings(variants, self._sip_key), check.astype(np.uint32)
        if kind in CHECKED_KINDS:
            return digest_keys(texts, self._sip_key)
        if kind is SelectorKind.NAME:
            first = pc.list_element(pc.split_pattern(texts, " ", max_splits=1), 0)
            words = pc.add(pc.count_substring(texts, " "), 1).to_numpy()
            self._first_words.append(
                (hash_strings(first, self._sip_key), np.minimum(words, 255).astype(np.uint8))
            )
        return hash_strings(texts, self._sip_key), None

    @property
    def models(self) -> set[str]:
        """The ids of the models that embeddings come from."""
        return self._embeddings.models

    def finish(self, final: U32) -> dict[str, Columns]:
        """The files of all kinds, with provisional claim numbers replaced by `final[provisional]`."""
        files: dict[str, Columns] = self._pictures.finish(final) | self._embeddings.finish(final)
        for kind in LOCATOR_KINDS:
            parts = self._entries.pop(kind, None)
            if not parts:
                continue
            entries = _joined(parts, final)
            parts.clear()
            table = make_table(entries)
            del entries
            check = {} if table.check is None else {"check": table.check}
            files[kind.label] = {"key": table.key, **check, "claim": table.claim}
            files[f"{kind.label}.offsets"] = {"offset": table.offsets}
        if self._first_words:
            files["first_words"] = _longest_names(self._first_words)
        return files


def digest_keys(texts: pa.Array, sip_key: bytes) -> tuple[U64, U32]:
    """Key and check of content digests in lower-case hex: 96 bits of keyed hash, so chance never matches two.

    The check has a key of its own; that of a locator is a hash of another text than its key's.
    """
    check = hash_strings(texts, _check_key(sip_key)) & LOW_BITS
    return hash_strings(texts, sip_key), check.astype(np.uint32)


@lru_cache(maxsize=64)
def _check_key(sip_key: bytes) -> bytes:
    return hashlib.sha256(b"optout-digest-check\0" + sip_key).digest()[:16]


def _supported(number: int) -> SelectorKind:
    try:
        return SelectorKind(number)
    except ValueError:
        # Left out silently, the claim would not be honoured.
        raise BadInput(f"there is no selector kind {number}", code="unsupported_kind") from None


def _joined(parts: list[Entries], final: U32) -> Entries:
    key = np.concatenate([part.key for part in parts])
    checks = [part.check for part in parts if part.check is not None]
    claim = final[np.concatenate([part.claim for part in parts])]
    return Entries(key, np.concatenate(checks) if checks else None, claim)


def _longest_names(parts: list[tuple[U64, U8]]) -> Mapping[str, npt.NDArray[np.generic]]:
    """For each first word, how many words the longest name has that begins with it."""
    words, group = np.unique(np.concatenate([word for word, _ in parts]), return_inverse=True)
    longest = np.zeros(len(words), np.uint8)
    np.maximum.at(longest, group, np.concatenate([count for _, count in parts]))
    return {"word": words, "longest": longest}
