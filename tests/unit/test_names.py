import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.errors import InvalidSelector
from optout.locators import siphash13
from optout.names import FirstWords, fold, fold_array, probe_names, tokens, validate_name
from optout.names.kernel import WIDEST
from optout.names.table import CODE_POINTS, fold_table, folded_by_unicode

KEY = bytes(range(16))


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Zoë ÅNGSTRÖM", "zoe angstrom"),
        ("Straße", "strasse"),
        ("O'Neill, by Ann-Marie", "o neill by ann marie"),
        ("e\u0301clair", "eclair"),
        ("soft\u00adhyphen", "softhyphen"),
        ("ﬁne \uff21\uff22", "fine ab"),
        ("草間彌生 art", "草 間 彌 生 art"),
        ("  ", ""),
        (b"caf\xc3\xa9 \xffx", "cafe x"),
        (b"a\xffb", "a b"),
    ],
)
def test_fold(text: str | bytes, folded: str) -> None:
    assert fold(text) == folded
    assert " ".join(tokens(text)) == folded


@pytest.mark.parametrize("name", ["Banksy", "Ai Weiwei", "草間", "J. M. W. Turner", "Su Shi"])
def test_a_name_that_tells_somebody_is_taken(name: str) -> None:
    assert validate_name(name) == fold(name)


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "name_too_common"),
        ("Bo", "name_too_common"),
        ("!!!", "name_too_common"),
        ("a b", "name_too_common"),
        ("草", "name_too_common"),
        ("la " * 17, "name_too_long"),
        ("x" * 201, "name_too_long"),
    ],
)
def test_a_name_that_would_match_everything_is_refused(name: str, code: str) -> None:
    with pytest.raises(InvalidSelector) as caught:
        validate_name(name)
    assert caught.value.code == code


def test_the_table_is_what_this_unicode_says() -> None:
    """Another Python may know newer characters, but must agree on those of the table."""
    table = fold_table()
    for point in range(CODE_POINTS):
        char = chr(point)
        if unicodedata.category(char) != "Cn" and (
            table.entries[point] or unicodedata.unidata_version == "14.0.0"
        ):
            assert table.folded(char) == folded_by_unicode(char), f"{point:X}"


def test_every_character_is_within_the_room_the_kernel_reserves() -> None:
    table = fold_table()
    for point in np.flatnonzero(table.entries >> 2 & 63):
        folded = table.folded(chr(point))
        assert len(folded.encode()) + len(folded) < WIDEST * len(chr(point).encode())


captions = st.lists(
    st.none()
    | st.text(max_size=30)
    | st.text("ab Zé.ß草が한ﷺ㍿\u0301\u00ad\u1100'🎨0½", max_size=12)
    | st.sampled_from(["Zoë Ångström, 2019", "x" * 40, "a" * 5000]),
    max_size=6,
)


def as_column(texts: list[Any], form: str) -> pa.Array | pa.ChunkedArray:
    match form:
        case "dictionary":
            return pa.array(texts, pa.string()).dictionary_encode()
        case "slice":
            return pa.array(["before", None, *texts, "after"], pa.string()).slice(2, len(texts))
        case "chunks":
            return pa.chunked_array(
                [pa.array([part], pa.large_string()) for part in texts], pa.large_string()
            )
        case "view":
            return pa.array(texts, pa.string_view())
        case _:
            return pa.array(texts, pa.large_string() if form == "large" else pa.string())


@pytest.mark.parametrize("form", ["plain", "large", "dictionary", "slice", "chunks", "view"])
@given(texts=captions)
@settings(max_examples=60, deadline=None)
def test_the_kernel_folds_as_the_reference(form: str, texts: list[str | None]) -> None:
    expected = [None if text is None else fold(text) for text in texts]
    assert fold_array(as_column(texts, form)).to_pylist() == expected


@settings(deadline=None)
@given(
    st.lists(
        st.none() | st.binary(max_size=12) | st.text(max_size=4).map(lambda text: text.encode()[:-1] + b"a")
    )
)
def test_the_kernel_folds_bytes_that_are_not_utf8_as_the_reference(texts: list[bytes | None]) -> None:
    expected = [None if text is None else fold(text) for text in texts]
    assert fold_array(pa.array(texts, pa.binary())).to_pylist() == expected


def first_words_of(names: Sequence[str]) -> FirstWords:
    longest: dict[int, int] = {}
    for name in names:
        words = tokens(name)
        first = siphash13(words[0].encode(), KEY)
        longest[first] = max(longest.get(first, 0), len(words))
    hashes = np.array(sorted(longest), np.uint64)
    return FirstWords.of(hashes, np.array([longest[int(first)] for first in hashes], np.uint8))


def names_found(captions: list[str | None], names: Sequence[str]) -> set[tuple[int, str]]:
    by_key = {siphash13(fold(name).encode(), KEY): name for name in names}
    rows, keys = probe_names(pa.array(captions), sip_key=KEY, first_words=first_words_of(names))
    assert sorted(rows) == list(rows)
    return {(int(row), by_key[int(key)]) for row, key in zip(rows, keys, strict=True) if int(key) in by_key}


def test_names_are_found_as_whole_words() -> None:
    captions = [
        "a painting in the style of ZOË ÅNGSTRÖM, oil",
        "Zoe  angstrom's garden",
        "Zoe Angstromson",
        None,
        "by 草間彌生",
        "Zoe and Ångström",
        "zoe angstrom",
    ]
    assert names_found(captions, ["Zoë Ångström", "草間彌生", "Zoë"]) == {
        (0, "Zoë Ångström"), (1, "Zoë Ångström"), (4, "草間彌生"), (6, "Zoë Ångström"),
        (0, "Zoë"), (1, "Zoë"), (2, "Zoë"), (5, "Zoë"), (6, "Zoë"),
    }  # fmt: skip


def test_no_names_and_no_captions_find_nothing() -> None:
    assert names_found(["Zoë"], []) == set()
    assert names_found([], ["Zoë Ångström"]) == set()
    rows, keys = probe_names(
        pa.chunked_array([], pa.string()), sip_key=KEY, first_words=first_words_of(["Zoë"])
    )
    assert (len(rows), len(keys)) == (0, 0)


def test_a_column_that_is_not_text_is_refused() -> None:
    with pytest.raises(TypeError):
        fold_array(pa.array([1]))


words = st.sampled_from(["ann", "Bo", "ÉMILE", "草", "x1"])


@settings(deadline=None)
@given(
    st.lists(st.lists(words, max_size=6).map(" ".join), max_size=4),
    st.lists(st.lists(words, min_size=1, max_size=3)),
)
def test_probing_finds_exactly_the_names_that_stand_in_the_captions(
    captions: list[str], named: list[list[str]]
) -> None:
    names = {fold(" ".join(name)) for name in named}
    expected = {
        (row, name)
        for row, caption in enumerate(captions)
        for name in names
        if f" {name} " in f" {fold(caption)} "
    }
    assert names_found([*captions], sorted(names)) == expected
