"""The readable reference: how text becomes the words that names are matched by.

Every code point is looked at alone: case-folded, decomposed (NFKD), stripped of its marks. Letters and digits make words,
everything else separates them. Scripts written without spaces have no words to split at, so there every
character is a word of its own and a name is matched as the sequence of its characters.
"""

import unicodedata

from optout.errors import InvalidSelector

__all__ = ["MAX_WORDS", "fold", "tokens", "validate_name"]

#: A longer name than this is not one; the kernel's work a caption grows with it.
MAX_WORDS = 16
MAX_CHARS = 200
_MIN_LETTERS = 5

#: First and last code point of the scripts written without spaces: Thai, Lao, Myanmar, Khmer, kana, Han.
UNSPACED = (
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


def fold_char(char: str) -> str:
    """What one character contributes: folded letters and digits, or nothing (a separator or a mark)."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(part for part in decomposed if unicodedata.category(part)[0] in "LN")


def is_mark(char: str) -> bool:
    """Whether `char` alone folds to nothing without ending the word it stands in."""
    return unicodedata.category(char)[0] == "M" or char in "\u00ad\u200c\u200d"


def is_unspaced(folded: str) -> bool:
    """Whether a folded character is a word of its own."""
    return any(low <= ord(folded[0]) <= high for low, high in UNSPACED)


def tokens(text: str | bytes) -> list[str]:
    """The folded words of `text`; bytes that are not UTF-8 separate words."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    words: list[str] = []
    open_word = False
    for char in text:
        folded = fold_char(char)
        if not folded:
            open_word = open_word and is_mark(char)
        elif is_unspaced(folded):
            words.append(folded)
            open_word = False
        elif open_word:
            words[-1] += folded
        else:
            words.append(folded)
            open_word = True
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
    unspaced = sum(is_unspaced(word) for word in words)
    if unspaced < 2 and sum(map(len, words)) < _MIN_LETTERS:
        raise InvalidSelector(
            f"the name {text!r} is too short to tell you from other words in captions: give at least two characters of"
            f" Chinese, Japanese or Thai, or {_MIN_LETTERS} letters, for example first and last name",
            code="name_too_common",
        )
    return " ".join(words)
