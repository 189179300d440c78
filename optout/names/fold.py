"""The readable reference: how text becomes the words that names are matched by.

Every code point is looked at alone: case-folded, decomposed (NFKD), stripped of its marks. Letters and digits
make words, everything else separates them. Scripts written without spaces have no words to split at, so there
every character is a word of its own and a name is matched as the sequence of its characters.
"""

from optout.errors import InvalidSelector
from optout.names.table import MARK, UNSPACED, fold_table

__all__ = ["MAX_WORDS", "fold", "tokens", "validate_name"]

#: A longer name than this is not one; the kernel's work a caption grows with it.
MAX_WORDS = 16
MAX_CHARS = 200
_MIN_LETTERS = 5


def tokens(text: str | bytes) -> list[str]:
    """The folded words of `text`; bytes that are not UTF-8 separate words."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    table = fold_table()
    words: list[str] = []
    open_word = False
    for char in text:
        if table.kind(char) == MARK:
            continue
        folded = table.folded(char)
        open_word = open_word and bool(folded)
        for part in folded:
            spaced = table.kind(part) != UNSPACED
            if open_word and spaced:
                words[-1] += part
            else:
                words.append(part)
            open_word = spaced
    return words


def fold(text: str | bytes) -> str:
    """The folded words of `text`, joined by single spaces."""
    return " ".join(tokens(text))


def validate_name(text: str) -> str:
    """The folded form of a name that is safe to look for in captions.

    Raises:
        InvalidSelector: too short to mean one person (code `name_too_common`), too long (`name_too_long`).
    """
    words = tokens(text)
    if len(text) > MAX_CHARS or len(words) > MAX_WORDS:
        raise InvalidSelector(
            f"a name has at most {MAX_WORDS} words and {MAX_CHARS} characters", code="name_too_long"
        )
    unspaced = sum(fold_table().kind(word[0]) == UNSPACED for word in words)
    if unspaced < 2 and sum(map(len, words)) < _MIN_LETTERS:
        raise InvalidSelector(
            f"the name {text!r} is too short to be told from other words in captions: give at least"
            f" {_MIN_LETTERS} letters (first and last name), or two Chinese, Japanese or Thai characters",
            code="name_too_common",
        )
    return " ".join(words)
