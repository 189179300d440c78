"""Columns of text that hold perceptual hashes, read as numbers: bare hashes, and fingerprints of pictures."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from optout.probes import VIEWS, PictureProbes, probes_of_codes

__all__ = [
    "PDQ_DIGITS",
    "PHASH_DIGITS",
    "ClaimedViews",
    "fingerprint_probes",
    "read_digits",
    "read_fingerprints",
]

U8 = npt.NDArray[np.uint8]
U64 = npt.NDArray[np.uint64]

PHASH_DIGITS = 16
PDQ_DIGITS = 64

_PREFIX = "ofp1:"
#: A view as `format_fingerprint` writes it: letter, pHash, PDQ, quality.
_VIEW = r"\A[wcs]\.[0-9a-f]{16}\.[0-9a-f]{64}\.\d{1,3}\z"
_LETTERS = {name[0]: number for number, name in enumerate(VIEWS) if number}
_NIBBLE = np.zeros(256, np.uint8)
_NIBBLE[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16, dtype=np.uint8)


class ClaimedViews(NamedTuple):
    """Views of several pictures.

    Attributes:
        row: int64[k], the picture, ascending.
        view: uint8[k], index into `optout.probes.VIEWS`.
        phash: uint64[k].
        pdq: uint64[k, 4].
        quality: uint8[k].
    """

    row: npt.NDArray[np.int64]
    view: U8
    phash: U64
    pdq: U64
    quality: U8


def read_digits(texts: pa.Array, digits: int) -> U64:
    """The numbers uint64[n, digits / 16] that texts of `digits` lower-case hexadecimal digits are."""
    text = texts.cast(pa.large_string())
    content = np.frombuffer(text.buffers()[2] or b"", np.uint8) if len(text) else np.empty(0, np.uint8)
    first = np.frombuffer(text.buffers()[1], np.int64)[text.offset] if len(text) else 0
    nibbles = _NIBBLE[content[first : first + digits * len(text)]].reshape(-1, digits)
    octets = np.ascontiguousarray(nibbles[:, ::2] << 4 | nibbles[:, 1::2])
    return octets.view(">u8").astype(np.uint64)


def read_fingerprints(texts: pa.Array) -> tuple[ClaimedViews, npt.NDArray[np.bool_]]:
    """The views of a column of fingerprints without nulls.

    Returns:
        the views, and bool[n]: which texts are fingerprints; of those that are none there are no views.
    """
    texts = texts.cast(pa.large_string())
    begins = pc.starts_with(texts, _PREFIX)
    bodies = pc.utf8_slice_codeunits(texts, len(_PREFIX), None)
    parts = pc.split_pattern(bodies, "~")
    row = pc.list_parent_indices(parts).to_numpy().astype(np.int64)
    views = parts.flatten()
    right = np.asarray(pc.match_substring_regex(views, _VIEW)) & np.asarray(begins)[row]
    right[right] = _numbers(views.filter(pa.array(right)), 84, None) <= 100
    good = np.bincount(row[~right], minlength=len(texts)) == 0
    kept = good[row]
    views, row = views.filter(pa.array(kept)), row[kept]
    letters = pc.utf8_slice_codeunits(views, 0, 1).to_pylist()
    return (
        ClaimedViews(
            row,
            np.array([_LETTERS[letter] for letter in letters], np.uint8),
            read_digits(pc.utf8_slice_codeunits(views, 2, 18), PHASH_DIGITS)[:, 0],
            read_digits(pc.utf8_slice_codeunits(views, 19, 83), PDQ_DIGITS),
            _numbers(views, 84, None).astype(np.uint8),
        ),
        good,
    )


def _numbers(texts: pa.Array, start: int, stop: int | None) -> npt.NDArray[np.int64]:
    numbers: npt.NDArray[np.int64] = pc.utf8_slice_codeunits(texts, start, stop).cast(pa.int64()).to_numpy()
    return numbers


def fingerprint_probes(
    column: pa.Array | pa.ChunkedArray,
) -> tuple[PictureProbes, npt.NDArray[np.bool_]]:
    """All orientations of the pictures of a column of fingerprints, null where there is no picture.

    Returns:
        the probes, and bool[n]: which texts are no fingerprints.
    """
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    given = np.flatnonzero(np.asarray(array.is_valid()))
    texts = array.take(pa.array(given)).cast(pa.large_binary()).cast(pa.large_string(), safe=False)
    # Bytes that are not UTF-8 are no fingerprint either, and would trouble what cuts texts.
    plain = np.asarray(pc.string_is_ascii(texts)) if len(texts) else np.empty(0, np.bool_)
    views, good = read_fingerprints(pc.if_else(pa.array(plain), texts, pa.scalar("", pa.large_string())))
    malformed = np.zeros(len(array), np.bool_)
    malformed[given[~good]] = True
    row = given[views.row].astype(np.int32)
    return probes_of_codes(row, views.view, views.phash, views.pdq, views.quality), malformed
