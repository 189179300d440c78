"""Folding and probing whole Arrow columns of captions, compiled; `fold` is what it is tested against.

A caption's words are folded into a scratch buffer, joined by single spaces, so that every run of words is
already the text whose hash is looked up. Only words that begin some name are looked at further.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from optout.compiled import compiled
from optout.locators.kernel.arrow import Texts, chunks, texts
from optout.locators.kernel.memory import pointer
from optout.locators.kernel.siphash import sip
from optout.names.fold import MAX_WORDS
from optout.names.table import MARK, SEPARATOR, UNSPACED, fold_table

__all__ = ["FirstWords", "fold_array", "probe_names"]

Bytes = npt.NDArray[np.uint8]
#: Whichever integer numba makes of it.
Int = Any
#: Arrays would be counted in and out at every call; the loops, which see arrays, keep them alive.
Pointer = Any
_SPACE = 32
#: Most folded bytes, spaces included, that one byte of text becomes (U+FDFA: 15).
WIDEST = 16


class FirstWords(NamedTuple):
    """The words that names begin with, ready to be asked.

    Attributes:
        hashes: uint64[k], siphash13 of each first word, ascending.
        max_words: uint8[k], how many words the longest name with that first word has.
        bitmap: uint8[2**(64 - shift) / 8], one bit for each hash's top bits: most words end here.
        shift: how far a hash is shifted to index the bitmap.
    """

    hashes: npt.NDArray[np.uint64]
    max_words: Bytes
    bitmap: Bytes
    shift: int

    @classmethod
    def of(cls, hashes: npt.NDArray[np.uint64], max_words: Bytes) -> "FirstWords":
        """Index sorted hashes; 16 bits for each, so that about one strange word in sixteen passes."""
        bits = max(13, int(len(hashes) * 16).bit_length())
        bitmap = np.zeros(1 << bits - 3, np.uint8)
        slots = hashes >> np.uint64(64 - bits)
        np.bitwise_or.at(
            bitmap, slots >> np.uint64(3), np.uint8(1) << (slots & np.uint64(7)).astype(np.uint8)
        )
        return cls(
            np.ascontiguousarray(hashes, np.uint64),
            np.ascontiguousarray(max_words, np.uint8),
            bitmap,
            64 - bits,
        )


def fold_array(column: pa.Array | pa.ChunkedArray) -> pa.LargeStringArray:
    """`fold` of every row; null stays null.

    Raises:
        TypeError: the column is not text.
    """
    table = fold_table()
    folded = []
    for strings in _texts_of(column):
        text, offsets = _fold_rows(strings.data, strings.offsets, strings.valid, *table)
        validity = pa.array(strings.valid).buffers()[1]
        buffers = [validity, pa.py_buffer(offsets), pa.py_buffer(text)]
        folded.append(pa.Array.from_buffers(pa.large_string(), len(strings.valid), buffers))
    return pa.concat_arrays(folded) if folded else pa.array([], pa.large_string())


def probe_names(
    column: pa.Array | pa.ChunkedArray,
    *,
    sip_key: bytes,
    first_words: FirstWords | npt.NDArray[np.uint64],
    max_words: Bytes | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    """The keys of every run of words in a column of captions that may be a name.

    Args:
        column: captions; null has none.
        sip_key: 16 bytes.
        first_words: the words that names begin with, hashed under the same key: indexed once
            (`FirstWords.of`), or as sorted hashes.
        max_words: for sorted hashes, how many words the longest name with each first word has; 16 when left
        out.

    Returns:
        row int32[m], ascending, and key uint64[m]: siphash13 of one to `max_words` folded words joined by a
        space, for each word whose hash is among `first_words`.

    Raises:
        TypeError: the column is not text.
    """
    if not isinstance(first_words, FirstWords):
        widest = np.full(len(first_words), MAX_WORDS, np.uint8) if max_words is None else max_words
        first_words = FirstWords.of(first_words, widest)
    table, words = fold_table(), first_words
    k0, k1 = np.frombuffer(sip_key, "<u8")
    rows, keys = [np.empty(0, np.int32)], [np.empty(0, np.uint64)]
    before = 0
    for strings in _texts_of(column):
        captions = (strings.data, strings.offsets, strings.valid)
        row, key = _probe_rows(
            *captions, *table, k0, k1, words.hashes, words.max_words, words.bitmap, words.shift
        )
        rows.append(row + np.int32(before))
        keys.append(key)
        before += len(strings.valid)
    return np.concatenate(rows), np.concatenate(keys)


def _texts_of(column: pa.Array | pa.ChunkedArray) -> Iterator[Texts]:
    """The column's buffers, `valid` always spelt out."""
    for chunk in chunks(column):
        plain = chunk.dictionary.take(chunk.indices) if pa.types.is_dictionary(chunk.type) else chunk
        found = texts(plain)
        yield found if len(found.valid) else found._replace(valid=np.ones(len(chunk), bool))


@compiled
def _fold_rows(
    data: Bytes,
    offsets: npt.NDArray[np.int64],
    valid: npt.NDArray[np.bool_],
    entries: npt.NDArray[np.uint32],
    pool: Bytes,
    ascii_fold: Bytes,
) -> tuple[Bytes, npt.NDArray[np.int64]]:
    """The folded rows one after the other, and where each starts (one offset more than rows)."""
    text, table = pointer(data), (pointer(entries), pointer(pool), pointer(ascii_fold))
    folded_offsets = np.zeros(len(valid) + 1, np.int64)
    out = np.empty(1024, np.uint8)
    starts = np.empty(0, np.int64)
    for row in range(len(valid)):
        at = folded_offsets[row]
        if valid[row]:
            length = offsets[row + 1] - offsets[row]
            out = _room(out, at, at + length * WIDEST + 8)
            if len(starts) < length * WIDEST + 2:
                starts = np.empty(length * WIDEST + 2, np.int64)
            at, _ = _fold_row(text, offsets[row], offsets[row + 1], *table, pointer(out), at, pointer(starts))
        folded_offsets[row + 1] = at
    return out[: folded_offsets[-1]], folded_offsets


@compiled
def _probe_rows(
    data: Bytes,
    offsets: npt.NDArray[np.int64],
    valid: npt.NDArray[np.bool_],
    entries: npt.NDArray[np.uint32],
    pool: Bytes,
    ascii_fold: Bytes,
    k0: np.uint64,
    k1: np.uint64,
    hashes: npt.NDArray[np.uint64],
    max_words: Bytes,
    bitmap: Bytes,
    shift: Int,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.uint64]]:
    text, table = pointer(data), (pointer(entries), pointer(pool), pointer(ascii_fold))
    rows = np.empty(1024, np.int32)
    keys = np.empty(1024, np.uint64)
    found = 0
    out = np.empty(1024, np.uint8)
    starts = np.empty(1024, np.int64)
    for row in range(len(valid)):
        if not valid[row]:
            continue
        room = (offsets[row + 1] - offsets[row]) * WIDEST + 8
        if len(out) < room:
            out = np.empty(room * 2, np.uint8)
            starts = np.empty(room * 2, np.int64)
        folded = pointer(out)
        end, words = _fold_row(text, offsets[row], offsets[row + 1], *table, folded, 0, pointer(starts))
        starts[words] = end + 1
        for word in range(words):
            first = sip(folded, starts[word], starts[word + 1] - 1, k0, k1)
            slot = first >> np.uint64(shift)
            if not bitmap[slot >> np.uint64(3)] >> (slot & np.uint64(7)) & 1:
                continue
            index = _position(hashes, first)
            if index < 0:
                continue
            longest = min(np.int64(max_words[index]), words - word)
            rows, keys = _room(rows, found, found + longest), _room(keys, found, found + longest)
            for count in range(longest):
                rows[found] = row
                keys[found] = sip(folded, starts[word], starts[word + count + 1] - 1, k0, k1)
                found += 1
    return rows[:found], keys[:found]


@compiled
def _room(array: Any, used: Int, needed: Int) -> Any:
    """`array`, or a larger copy of its first `used` elements, so that `needed` fit."""
    if needed <= len(array):
        return array
    larger = np.empty(max(needed, 2 * len(array)), array.dtype)
    larger[:used] = array[:used]
    return larger


@compiled
def _position(hashes: npt.NDArray[np.uint64], wanted: np.uint64) -> Int:
    """Where `wanted` stands among the sorted hashes, or -1."""
    low, high = 0, len(hashes)
    while low < high:
        middle = (low + high) >> 1
        if hashes[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(hashes) and hashes[low] == wanted else -1


@compiled
def _fold_row(
    data: Pointer,
    pos: Int,
    stop: Int,
    entries: Pointer,
    pool: Pointer,
    ascii_fold: Pointer,
    out: Pointer,
    at: Int,
    starts: Pointer,
) -> tuple[Int, Int]:
    """Write the words of data[pos:stop] to `out` from `at`, spaced, their beginnings to `starts`.

    Returns the end of what was written and the number of words. While a word is open, `out` ends in one of
    its letters, otherwise in a space.
    """
    words = 0
    is_open = False
    while pos < stop:
        if data[pos] < 128:
            pos, at, words, is_open = _fold_ascii(
                data, pos, stop, ascii_fold, out, at, starts, words, is_open
            )
            continue
        point, size = _code_point(data, pos, stop)
        entry = np.int64(entries[point])
        length, kind = entry >> 2 & 63, entry & 3
        if length:
            first = entry >> 8
            at, words, is_open = _put(pool, first, first + length, entries, out, at, starts, words, is_open)
        elif kind > MARK:
            at, words, is_open = _put(data, pos, pos + size, entries, out, at, starts, words, is_open)
        elif kind == SEPARATOR:
            out[at] = _SPACE
            at += is_open
            is_open = False
        pos += size
    return (at if is_open or words == 0 else at - 1), words


@compiled
def _fold_ascii(
    data: Pointer,
    pos: Int,
    stop: Int,
    ascii_fold: Pointer,
    out: Pointer,
    at: Int,
    starts: Pointer,
    words: Int,
    is_open: bool,
) -> tuple[Int, Int, Int, bool]:
    """The common case without branches: every byte is written; letters and first separators are kept."""
    while pos < stop:
        byte = data[pos]
        if byte >= 128:
            break
        folded = ascii_fold[byte]
        is_letter = folded != _SPACE
        out[at] = folded
        starts[words] = at
        words += is_letter & (not is_open)
        at += is_letter | is_open
        is_open = is_letter
        pos += 1
    return pos, at, words, is_open


@compiled
def _put(
    source: Pointer,
    pos: Int,
    stop: Int,
    entries: Pointer,
    out: Pointer,
    at: Int,
    starts: Pointer,
    words: Int,
    is_open: bool,
) -> tuple[Int, Int, bool]:
    """Append folded characters, each to the open word or as a word of its own."""
    while pos < stop:
        point, size = _code_point(source, pos, stop)
        alone = entries[point] & 3 == UNSPACED
        if is_open and alone:
            out[at] = _SPACE
            at += 1
        starts[words] = at
        words += alone | (not is_open)
        for offset in range(size):
            out[at + offset] = source[pos + offset]
        at += size
        pos += size
        if alone:
            out[at] = _SPACE
            at += 1
        is_open = not alone
    return at, words, is_open


@compiled
def _code_point(data: Pointer, pos: Int, stop: Int) -> tuple[Int, Int]:
    """The code point at `pos` and its size; a byte that is not UTF-8 there counts as a NUL of size 1."""
    lead = np.int64(data[pos])
    if lead < 0x80:
        return lead, 1
    size = 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4
    if lead < 0xC2 or lead > 0xF4 or pos + size > stop:
        return 0, 1
    point = lead & (0x7F >> size)
    for offset in range(1, size):
        byte = np.int64(data[pos + offset])
        if byte & 0xC0 != 0x80:
            return 0, 1
        point = point << 6 | byte & 0x3F
    if (
        (size == 3 and point < 0x800)
        or (size == 4 and not 0x10000 <= point < 0x110000)
        or 0xD800 <= point < 0xE000
    ):
        return 0, 1
    return point, size
