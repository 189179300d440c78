"""The kernel against the plain rules: the same answer on every input and on every kind of Arrow array."""

import importlib
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from optout.compiled import source_stamp
from optout.locators import (
    InvalidLocator,
    LocatorStatus,
    canonical,
    canonicalise,
    hash_strings,
    host_of,
    host_suffixes,
    origins,
    prefixes,
    probe_keys,
    siphash13,
    variant_key,
    variant_keys,
)
from optout.locators.kernel.loop import canonicalise_rows, probe_rows
from optout.locators.kernel.scan import canonicalise_row
from optout.locators.kernel.siphash import sip
from optout.locators.tables import groups, proxies
from optout.words import SelectorKind
from tests.unit.locator_texts import urls
from tests.unit.test_locators import CANONICAL, REFUSED

KEY = bytes(range(16))
KINDS = frozenset({SelectorKind.URL, SelectorKind.PREFIX, SelectorKind.DOMAIN})
EXAMPLES = [
    *(url.encode() for url, _ in CANONICAL),
    *(url if isinstance(url, bytes) else url.encode("utf-8", "surrogatepass") for url, _ in REFUSED),
    *(address.encode() for proxy in proxies() for address, _ in proxy.examples),
    *(locator.encode() for group in groups() for locator, _ in group.examples),
]


@pytest.fixture(autouse=True, scope="module")
def _compiled() -> None:
    """Compile first: a fresh installation takes longer than Hypothesis grants an example."""
    probe_keys(pa.array(["http://example.org"]), sip_key=KEY, kinds=KINDS)
    hash_strings(pa.array(["a"]), KEY)


def plain_status(url: bytes | None) -> tuple[int, str | None]:
    if url is None:
        return LocatorStatus.NULL, None
    try:
        return LocatorStatus.OK, canonical(url)
    except InvalidLocator as error:
        return error.status, None


def plain_probes(
    urls: Sequence[bytes | None], kinds: frozenset[SelectorKind] = KINDS
) -> list[tuple[int, ...]]:
    """What `probe_keys` must give, from nothing but the plain functions."""
    found: list[tuple[int, ...]] = []
    for row, url in enumerate(urls):
        locator = plain_status(url)[1]
        for level, text in enumerate([locator, *origins(locator)] if locator else []):
            found.extend(
                (row, kind, level, siphash13(value.encode(), KEY), check)
                for kind, value, check in forms(text)
                if kind in kinds
            )
    return found


def forms(locator: str) -> list[tuple[SelectorKind, str, int]]:
    check = siphash13(locator.encode(), KEY) % 2**32
    return [
        (SelectorKind.URL, variant_key(locator), check),
        *((SelectorKind.PREFIX, prefix, 0) for prefix in prefixes(locator)),
        *((SelectorKind.DOMAIN, host, 0) for host in host_suffixes(host_of(locator))),
    ]


def assert_agrees(array: pa.Array | pa.ChunkedArray, urls: Sequence[bytes | None]) -> None:
    expected = [plain_status(url) for url in urls]
    locators, status = canonicalise(array)
    assert list(zip(status.tolist(), locators.to_pylist(), strict=True)) == expected
    keys = [variant_key(locator) if locator is not None else None for _, locator in expected]
    assert variant_keys(locators).to_pylist() == keys
    probes = probe_keys(array, sip_key=KEY, kinds=KINDS)
    assert probes.status.tolist() == [status for status, _ in expected]
    assert list(zip(*(field.tolist() for field in probes[1:]), strict=True)) == plain_probes(urls)


def test_examples() -> None:
    assert_agrees(pa.array(EXAMPLES, pa.binary()), EXAMPLES)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(urls, min_size=1, max_size=8))
def test_agrees_on_nasty_urls(texts: list[bytes]) -> None:
    assert_agrees(pa.array(texts, pa.binary()), texts)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["", "http://", "http://example.org/", "http://example.org/?"]))
def test_agrees_on_any_text(text: str, before: str) -> None:
    url = (before + text).encode("utf-8", "surrogatepass")
    assert_agrees(pa.array([url], pa.binary()), [url])


@pytest.mark.parametrize("kind", list(KINDS))
def test_only_the_kinds_asked_for(kind: SelectorKind) -> None:
    probes = probe_keys(pa.array(EXAMPLES, pa.binary()), sip_key=KEY, kinds=frozenset({kind}))
    expected = plain_probes(EXAMPLES, frozenset({kind}))
    assert list(zip(*(field.tolist() for field in probes[1:]), strict=True)) == expected


ROWS: list[str | None] = [
    "http://www.example.org/a-300x200.jpg",
    None,
    "http://bücher.example/ü?utm_source=x",
    "",
    "http://i0.wp.com/bücher.example/a.jpg?w=1",
    "https://i1.wp.com/example.org/b/c.jpg",
    None,
]
BYTES = [None if row is None else row.encode() for row in ROWS]


@pytest.mark.parametrize(
    "kind",
    [pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.string_view(), pa.binary_view()],
)
def test_every_width_with_nulls_and_slices(kind: pa.DataType) -> None:
    array = pa.array(BYTES, pa.binary()).cast(kind) if "view" not in str(kind) else pa.array(ROWS, kind)
    assert_agrees(array, BYTES)
    for start in range(len(ROWS)):
        assert_agrees(array.slice(start, 4), BYTES[start : start + 4])


@pytest.mark.parametrize("index", [pa.int8(), pa.int32(), pa.uint16(), pa.int64()])
def test_dictionaries(index: pa.DataType) -> None:
    array = pa.array(ROWS * 3).dictionary_encode().cast(pa.dictionary(index, pa.string()))
    assert_agrees(array, BYTES * 3)
    assert_agrees(array[3:11], (BYTES * 3)[3:11])
    assert hash_strings(array, KEY).tolist() == [
        0 if row is None else siphash13(row, KEY) for row in BYTES * 3
    ]


def test_dictionary_with_null_values_and_of_nothing() -> None:
    array = pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array(["http://example.org", None]))
    assert_agrees(array, [b"http://example.org", None, None, b"http://example.org"])
    nothing = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int32()), pa.array([], pa.string()))
    assert probe_keys(nothing, sip_key=KEY, kinds=KINDS).status.tolist() == [LocatorStatus.NULL] * 2


@pytest.mark.parametrize(
    "chunks",
    [[], [[]], [ROWS], [ROWS[:2], [], ROWS[2:]], [ROWS[:3], ROWS[3:]], [[None], [None, None]]],
)
def test_chunks(chunks: list[list[str | None]]) -> None:
    array = pa.chunked_array([pa.array(chunk, pa.string()) for chunk in chunks], pa.string())
    flat = [None if row is None else row.encode() for chunk in chunks for row in chunk]
    assert_agrees(array, flat)
    assert hash_strings(array, KEY).tolist() == [0 if row is None else siphash13(row, KEY) for row in flat]


def test_nothing_but_nulls() -> None:
    assert probe_keys(pa.nulls(3), sip_key=KEY, kinds=KINDS).status.tolist() == [LocatorStatus.NULL] * 3
    assert_agrees(pa.nulls(3, pa.string()), [None] * 3)


def test_other_types_are_refused() -> None:
    for call in (canonicalise, variant_keys):
        with pytest.raises(TypeError, match="int64"):
            call(pa.array([1, 2]))
    with pytest.raises(ValueError, match="16 bytes"):
        probe_keys(pa.array(["a"]), sip_key=b"short", kinds=KINDS)


def test_the_buffers_grow() -> None:
    """Rows that give far more probes, and far longer forms, than was reserved for them."""
    deep = [
        "http://" + "a." * 120 + "org/" + "/".join("bcdefgh" * 200),
        "http://example.org/" + "é" * 1300,
    ] * 40
    raw: list[bytes | None] = [url.encode() for url in deep]
    probes = probe_keys(pa.array(deep), sip_key=KEY, kinds=KINDS)
    once = plain_probes(raw[:2])
    assert len(probes.row) == 40 * len(once)
    assert probes.key.tolist() == [probe[3] for probe in once] * 40
    locators, _ = canonicalise(pa.array(deep))
    assert locators.to_pylist() == [canonical(url) for url in deep[:2]] * 40


def test_a_megabyte_is_refused_fast() -> None:
    array = pa.array(["http://example.org/" + "a" * 1_000_000] * 50)
    assert probe_keys(array, sip_key=KEY, kinds=KINDS).status.tolist() == [LocatorStatus.TOO_LONG] * 50


@given(st.lists(st.one_of(st.none(), st.binary(max_size=40)), max_size=6))
def test_hashes(texts: list[bytes | None]) -> None:
    expected = [0 if text is None else siphash13(text, KEY) for text in texts]
    assert hash_strings(pa.array(texts, pa.binary()), KEY).tolist() == expected
    assert hash_strings(pa.array(texts, pa.large_binary()), KEY).dtype == np.uint64


def test_cached_code_depends_on_every_source() -> None:
    stamps = {source_stamp(function) for function in (probe_rows, canonicalise_rows, sip, canonicalise_row)}
    assert len(stamps) == 1
    assert len(stamps.pop()) == 64


def test_tables_that_the_kernel_cannot_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = importlib.import_module("optout.locators.kernel.packed")
    common = groups()[0]
    for broken in (common._replace(query="drop"), common._replace(hosts=(b"example.org",))):
        monkeypatch.setattr(tables, "groups", lambda broken=broken: (broken, *groups()[1:]))
        with pytest.raises(ValueError, match="first group"):
            tables.packed.__wrapped__()
