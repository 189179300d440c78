"""Ten thousand names in a million captions: the kernel against Aho-Corasick on text folded beforehand."""

import random
import sys
from collections.abc import Callable
from time import perf_counter

import ahocorasick
import numpy as np
import pyarrow as pa

from benchmarks.common import Report, median_seconds, one_core
from demo import laion
from optout.locators import siphash13
from optout.names import FirstWords, fold, fold_array, probe_names

CAPTIONS = 1_000_000
NAMES = 10_000
KEY = bytes(range(16))
_SYLLABLES = "an be cor da el fi gu hel is jo ka lu mar no ol pe ro sa tor vi".split()


def main() -> int:
    """Measure and print; 1 when an aim is missed."""
    one_core()
    captions = laion.rows(0, CAPTIONS, laion.Rows(artist_share=0.05))["TEXT"].combine_chunks()
    names = some_names()
    report = Report(f"Names: {len(names):,} in {CAPTIONS:,} captions, one core")
    sparse, dense = search(first_words_of(names)), search(first_words_of([*names, *common_names(captions)]))
    found = sparse(captions)
    ours = median_seconds(lambda: sparse(captions))
    report.add("the kernel, folding included", nanoseconds(ours))
    report.add(
        "the kernel, names that begin with common words", nanoseconds(median_seconds(lambda: dense(captions)))
    )
    report.add("folding alone, into a new column", nanoseconds(median_seconds(lambda: fold_array(captions))))
    folded = [f" {text} " for text in fold_array(captions).to_pylist()]
    automaton = automaton_of(names)
    start = perf_counter()
    expected = sum(1 for text in folded for _ in automaton.iter(text))
    peer = perf_counter() - start
    report.add("pyahocorasick, folding not counted", nanoseconds(peer), ratio=peer / ours, aim=2)
    keys = np.array(sorted(siphash13(fold(name).encode(), KEY) for name in names), np.uint64)
    agrees = int(np.isin(found, keys).sum()) == expected
    print(f"both find {expected:,} names" if agrees else "the two disagree")
    return 0 if report.show() and agrees else 1


def nanoseconds(seconds: float) -> str:
    return f"{seconds / CAPTIONS * 1e9:,.0f} ns a caption"


def some_names() -> list[str]:
    """The generator's artists and made-up people."""
    chance = random.Random(7)
    made = {
        " ".join("".join(chance.choices(_SYLLABLES, k=3)).capitalize() for _ in range(2))
        for _ in range(NAMES)
    }
    return [*laion.ARTISTS, *sorted(made)][:NAMES]


def common_names(captions: pa.Array) -> list[str]:
    """Names that nobody has, each beginning with a word that stands in many captions."""
    words = {word for text in captions[:1000].to_pylist() for word in text.split()}
    return [f"{word} Nemo" for word in sorted(words)[:20] if fold(word)]


def first_words_of(names: list[str]) -> FirstWords:
    longest: dict[int, int] = {}
    for name in names:
        words = fold(name).split()
        first = siphash13(words[0].encode(), KEY)
        longest[first] = max(longest.get(first, 0), len(words))
    hashes = np.array(sorted(longest), np.uint64)
    return FirstWords.of(hashes, np.array([longest[int(first)] for first in hashes], np.uint8))


def search(first_words: FirstWords) -> Callable[[pa.Array], np.ndarray]:
    return lambda captions: probe_names(captions, sip_key=KEY, first_words=first_words)[1]


def automaton_of(names: list[str]) -> ahocorasick.Automaton:
    automaton = ahocorasick.Automaton()
    for name in names:
        automaton.add_word(f" {fold(name)} ", name)
    automaton.make_automaton()
    return automaton


if __name__ == "__main__":
    sys.exit(main())
