"""What every code point folds to, pinned to one version of Unicode.

Snapshots hold keys of folded names, so folding must not change with the Python that runs it: the table is a
file of the package, and `python -m optout.names.table` prints it anew from the running Python's
`unicodedata`.
"""

import sys
import textwrap
import tomllib
import unicodedata
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CODE_POINTS", "MARK", "SEPARATOR", "UNSPACED", "WORD", "FoldTable", "fold_table"]

CODE_POINTS = 0x110000
SEPARATOR, MARK, WORD, UNSPACED = range(4)

#: First and last code point of the scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
_UNSPACED_SCRIPTS = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x30FF),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x1B000, 0x1B16F),
    (0x20000, 0x323AF),
)
#: Soft hyphen and the zero-width joiners stand inside words without being part of them.
_JOINERS = "\u00ad\u200c\u200d"

#: They fold to their letters by a rule that never changes, so the file need not list them.
_HANGUL_SYLLABLES = range(0xAC00, 0xD7A4)


class FoldTable(NamedTuple):
    """The table as the kernel reads it; every array is read-only.

    Attributes:
        entries: uint32[0x110000], for each code point its class (bits 0 and 1), the length in bytes of what
            it folds to (bits 2 to 7; 0 when it folds to itself) and where that stands in `pool` (from bit 8).
        pool: uint8[], folded texts in UTF-8.
        ascii: uint8[128], the folded byte, a space for a separator.
    """

    entries: npt.NDArray[np.uint32]
    pool: npt.NDArray[np.uint8]
    ascii: npt.NDArray[np.uint8]

    def kind(self, char: str) -> int:
        """The class of `char`: SEPARATOR, MARK, WORD or UNSPACED."""
        return int(self.entries[ord(char)]) & 3

    def folded(self, char: str) -> str:
        """What `char` folds to; empty for separators and marks."""
        entry = int(self.entries[ord(char)])
        length, at = entry >> 2 & 63, entry >> 8
        if length:
            return self.pool[at : at + length].tobytes().decode()
        return char if entry & 3 in (WORD, UNSPACED) else ""


@cache
def fold_table() -> FoldTable:
    """The package's table, built once a process (a few milliseconds)."""
    data = tomllib.loads(files("optout.names").joinpath("folding.toml").read_text("utf-8"))
    entries = np.zeros(CODE_POINTS, np.uint32)
    for first, last in _ranges(data["letters"]):
        entries[first : last + 1] = WORD
    for first, last in _ranges(data["marks"]):
        entries[first : last + 1] = MARK
    folds = [line.partition(" ")[::2] for line in data["folds"].split("\n") if line]
    folds += [(f"{point:X}", unicodedata.normalize("NFKD", chr(point))) for point in _HANGUL_SYLLABLES]
    texts = [text for _, text in folds]
    lengths = np.array([len(text.encode()) for text in texts])
    entries[[int(point, 16) for point, _ in folds]] = (
        WORD | lengths << 2 | (np.cumsum(lengths) - lengths) << 8
    )
    for first, last in _UNSPACED_SCRIPTS:
        script = entries[first : last + 1]
        script[script == WORD] = UNSPACED
    pool = np.frombuffer("".join(texts).encode(), np.uint8)
    ascii_fold = np.array([ord(FoldTable(entries, pool, pool).folded(chr(at)) or " ") for at in range(128)])
    return FoldTable(_frozen(entries), pool, _frozen(ascii_fold.astype(np.uint8)))


def _ranges(text: str) -> Iterator[tuple[int, int]]:
    for part in text.split():
        first, _, last = part.partition("-")
        yield int(first, 16), int(last or first, 16)


def _frozen(array: npt.NDArray[np.generic]) -> npt.NDArray[Any]:
    array.flags.writeable = False
    return array


def folded_by_unicode(char: str) -> str:
    """What the running Python's Unicode says `char` folds to: folded letters and digits, or nothing."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(part for part in folded if part.isalnum())


def is_mark(char: str) -> bool:
    """Whether `char` alone folds to nothing without ending the word it stands in."""
    return char in _JOINERS or unicodedata.category(char)[0] == "M"


def generated() -> str:
    """The text of `folding.toml` as the running Python would have it."""
    letters, marks, folds = [], [], []
    for point in range(CODE_POINTS):
        char = chr(point)
        folded = folded_by_unicode(char)
        if folded == char:
            letters.append(point)
        elif folded and point not in _HANGUL_SYLLABLES:
            folds.append(f"{point:X} {folded}")
        elif not folded and is_mark(char):
            marks.append(point)
    return (
        "# Made by `python -m optout.names.table`; not edited by hand.\n"
        f'unicode = "{unicodedata.unidata_version}"\n\n'
        f'# Letters and digits that fold to themselves.\nletters = """\n{_as_ranges(letters)}\n"""\n\n'
        f'# Marks and joiners: dropped without ending a word.\nmarks = """\n{_as_ranges(marks)}\n"""\n\n'
        "# What else has a folded form (Hangul syllables are split by rule).\n"
        f'folds = """\n{chr(10).join(folds)}\n"""\n'
    )


def _as_ranges(points: Iterable[int]) -> str:
    ranges: list[list[int]] = []
    for point in points:
        if ranges and ranges[-1][1] == point - 1:
            ranges[-1][1] = point
        else:
            ranges.append([point, point])
    words = " ".join(f"{first:X}-{last:X}" if last > first else f"{first:X}" for first, last in ranges)
    return textwrap.fill(words, 110, break_on_hyphens=False)


if __name__ == "__main__":
    sys.stdout.write(generated())
