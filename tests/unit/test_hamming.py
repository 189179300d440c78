"""The indices find exactly what comparing every code finds."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.hamming import long, short
from optout.hamming.found import Found
from optout.hamming.plan import bucket_bits, chunks_of, masks_of, thresholds_of

U64 = npt.NDArray[np.uint64]

words = st.integers(0, 2**64 - 1)
#: Codes a few bits from one another, and the extremes, so that small sets meet often.
near_words = st.one_of(
    words,
    st.sampled_from([0, 2**64 - 1, 1, 2**63]),
    st.lists(st.integers(0, 63), max_size=10).map(lambda bits: sum(1 << bit for bit in set(bits))),
)


def apart(left: U64, right: U64) -> npt.NDArray[np.int64]:
    """int64[q, n]: how many bits differ, of uint64[q, words] and uint64[n, words]."""
    bits: npt.NDArray[np.int64] = np.bitwise_count(left[:, None, :] ^ right[None, :, :]).sum(
        axis=2, dtype=np.int64
    )
    return bits


def expected(queries: U64, code: U64, radius: int) -> list[tuple[int, int, int]]:
    distance = apart(queries, code)
    return [(int(q), int(e), int(distance[q, e])) for q, e in np.argwhere(distance <= radius)]


def as_rows(found: Found) -> list[tuple[int, int, int]]:
    return list(zip(*(column.tolist() for column in found), strict=True))


@settings(deadline=None)
@given(
    st.lists(near_words, max_size=40),
    st.lists(near_words, max_size=8),
    st.data(),
)
def test_short_codes_are_found_as_by_comparing_all(
    entries: list[int], asked: list[int], data: st.DataObject
) -> None:
    radius = data.draw(st.sampled_from([0, 1, 2, 3, 7, 8, 9, 12]))
    index = short.make_index(np.sort(np.array(entries, np.uint64)))
    assert not short.fault(index)
    queries = np.array(asked, np.uint64)
    found = short.search(index, queries, radius)
    assert as_rows(found) == expected(queries[:, None], index.code[:, None], radius)


@settings(deadline=None)
@given(st.lists(st.lists(near_words, min_size=4, max_size=4), max_size=40), st.data())
def test_long_codes_are_found_as_by_comparing_all(entries: list[list[int]], data: st.DataObject) -> None:
    radius = data.draw(st.sampled_from([0, 5, 31, 40, 52, 64, 256]))
    code = np.array(entries, np.uint64).reshape(-1, 4)
    index = long.make_index(code)
    assert not long.fault(index)
    queries = np.concatenate([code[:5], np.zeros((1, 4), np.uint64)])
    assert as_rows(long.search(index, queries, radius)) == expected(queries, code, radius)


def planted(rng: np.random.Generator, size: int, width: int, most: int) -> tuple[U64, U64]:
    """Random codes, and queries up to `most` bits from some of them."""
    code = rng.integers(0, 2**64, (size, width), dtype=np.uint64)
    queries = code[rng.integers(0, size, 300)].copy()
    for _ in range(most):
        word, bit = rng.integers(0, width, 300), rng.integers(0, 64, 300, dtype=np.uint64)
        queries[np.arange(300), word] ^= np.uint64(1) << bit
    return code, queries


@pytest.mark.parametrize("skewed", [False, True])
@pytest.mark.parametrize(("width", "radius", "most"), [(1, 8, 9), (4, 31, 34), (4, 52, 60)])
def test_thousands_of_codes_are_found_as_by_comparing_all(
    width: int, radius: int, most: int, skewed: bool
) -> None:
    code, queries = planted(np.random.default_rng(radius), 20_000, width, most)
    if skewed:
        # Half of the bits are the same in all codes: every bucket is either empty or crowded.
        code &= np.uint64(0x5555555555555555)
        queries &= np.uint64(0x5555555555555555)
    if width == 1:
        index = short.make_index(np.sort(code[:, 0]))
        found, held = short.search(index, queries[:, 0], radius), index.code[:, None]
    else:
        found, held = long.search(long.make_index(code), queries, radius), code
    assert len(found.query) > 100
    assert as_rows(found) == expected(queries, held, radius)


def test_more_hits_than_there_is_room_for_are_all_found() -> None:
    index = short.make_index(np.zeros(5000, np.uint64))
    assert len(short.search(index, np.zeros(3, np.uint64), 8).query) == 15_000
    many = long.make_index(np.zeros((5000, 4), np.uint64))
    for radius in (31, 64):
        assert len(long.search(many, np.zeros((3, 4), np.uint64), radius).query) == 15_000


@pytest.mark.parametrize(("bits", "count", "radius"), [(64, 3, 8), (256, 11, 31), (64, 3, 0), (256, 11, 40)])
def test_the_plan_satisfies_the_pigeonhole_principle(bits: int, count: int, radius: int) -> None:
    chunks, thresholds = chunks_of(bits, count), thresholds_of(radius, count)
    assert sum(chunk.width for chunk in chunks) == bits
    assert [chunk.start for chunk in chunks][1:] == np.cumsum([c.width for c in chunks]).tolist()[:-1]
    # Were every chunk one bit beyond its threshold, the codes would be beyond the radius.
    assert sum(threshold + 1 for threshold in thresholds) == radius + 1


@pytest.mark.parametrize(
    ("count", "radius", "worth"),
    [(100, 31, False), (20_000, 31, True), (10**7, 31, True), (10**7, 52, True), (10**7, 128, False)],
)
def test_tables_are_used_where_they_are_less_work(count: int, radius: int, worth: bool) -> None:
    assert long.is_worth_visiting(count, radius) == worth


def test_the_tables_find_the_same_at_radii_that_are_mostly_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    code, queries = planted(np.random.default_rng(64), 3_000, 4, 70)
    found = {}
    for worth in (False, True):
        monkeypatch.setattr(long, "is_worth_visiting", lambda *_, worth=worth: worth)
        found[worth] = [
            as_rows(long.search(long.make_index(code), queries, radius)) for radius in (31, 52, 64)
        ]
    assert found[True] == found[False]
    assert len(found[True][2]) > 50


def test_masks_are_all_small_flips() -> None:
    assert masks_of(4, 2).tolist() == [n for n in range(16) if n.bit_count() <= 2]
    assert masks_of(5, 0).tolist() == [0]


def test_buckets_never_choose_more_bits_than_the_chunk_has() -> None:
    chunk = chunks_of(64, 3)[1]
    assert [bucket_bits(chunk, n) for n in (0, 1, 8, 2**20, 2**31)] == [1, 1, 2, 19, 21]


class TestFaults:
    """What a builder could get wrong is told by `fault`."""

    code = np.random.default_rng(5).integers(0, 2**64, 200, dtype=np.uint64)

    def test_short_tables(self) -> None:
        index = short.make_index(np.sort(self.code))
        swapped = index.code.copy()
        swapped[[3, 4]] = swapped[[4, 3]]
        assert short.fault(index._replace(code=swapped)) == "entries out of order"
        other = index.turned[0].copy()
        other[7] ^= np.uint64(1)
        assert "other codes" in short.fault(index._replace(turned=(other, index.turned[1])))
        offsets = index.offsets[1].copy()
        offsets[1] += 1
        moved = (index.offsets[0], offsets, index.offsets[2])
        assert "bucket" in short.fault(index._replace(offsets=moved))

    def test_long_tables(self) -> None:
        index = long.make_index(self.code.reshape(-1, 4))
        for change, told in ((lambda e: 10**6, "does not exist"), (lambda e: e[1], "outside their bucket")):
            entries = index.entries[2].copy()
            entries[0] = change(entries)
            tables = (*index.entries[:2], entries, *index.entries[3:])
            assert told in long.fault(index._replace(entries=tables))
        offsets = index.offsets[0].copy()
        offsets[-1] -= 1
        assert "do not fit" in long.fault(index._replace(offsets=(offsets, *index.offsets[1:])))
