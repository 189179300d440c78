import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.snapshot.tables import Entries, LocatorTable, bucket_bits, find, make_table

# Few high and low parts make equal keys, equal buckets and neighbours at bucket bounds frequent.
KEYS = st.builds(
    lambda high, low: high << 60 | low, st.integers(0, 15), st.sampled_from([0, 1, 2, 2**60 - 1])
)
# The first example pays for compiling.
RELAXED = settings(deadline=None)
ENTRIES = st.lists(st.tuples(KEYS, st.integers(0, 3), st.integers(0, 3)), max_size=300)


def columns(rows: list[tuple[int, int, int]], *, checked: bool) -> Entries:
    key, check, claim = zip(*rows, strict=True) if rows else ((), (), ())
    return Entries(
        np.array(key, np.uint64), np.array(check, np.uint32) if checked else None, np.array(claim, np.uint32)
    )


def rows_of(table: LocatorTable) -> list[tuple[int, ...]]:
    held = [column.tolist() for column in (table.key, table.check, table.claim) if column is not None]
    return list(zip(*held, strict=True))


@RELAXED
@given(ENTRIES, st.booleans())
def test_entries_are_sorted_and_distinct(rows: list[tuple[int, int, int]], checked: bool) -> None:
    table = make_table(columns(rows, checked=checked))
    wanted = {row if checked else (row[0], row[2]) for row in rows}
    assert rows_of(table) == sorted(wanted)


@RELAXED
@given(ENTRIES)
def test_offsets_tell_where_each_bucket_begins(rows: list[tuple[int, int, int]]) -> None:
    table = make_table(columns(rows, checked=True))
    bounds = np.arange(1 << table.bits, dtype=np.uint64) << np.uint64(64 - table.bits)
    assert table.offsets.tolist() == [*np.searchsorted(table.key, bounds).tolist(), len(table.key)]


@RELAXED
@given(ENTRIES, st.lists(st.tuples(st.integers(10, 12), KEYS), max_size=600))
def test_the_search_agrees_with_a_dictionary(
    rows: list[tuple[int, int, int]], probes: list[tuple[int, int]]
) -> None:
    table = make_table(columns(rows, checked=True))
    places: dict[int, list[int]] = {}
    for at, key in enumerate(table.key.tolist()):
        places.setdefault(key, []).append(at)
    kinds, keys = np.array([k for k, _ in probes], np.uint8), np.array([k for _, k in probes], np.uint64)
    probe, entry = find(kinds, 11, keys, table)
    wanted = [(i, at) for i, (kind, key) in enumerate(probes) if kind == 11 for at in places.get(key, [])]
    assert list(zip(probe.tolist(), entry.tolist(), strict=True)) == wanted


@pytest.mark.parametrize("count", [0, 1, 2, 3, 1000, 10_000_000, 100_000_000])
def test_buckets_stay_small(count: int) -> None:
    bits = bucket_bits(count)
    assert bits >= 1
    assert count <= 4 << bits
    assert count < 8 or count > 2 << (bits - 1)


def test_ten_thousand_entries_of_one_key_are_no_trouble() -> None:
    rng = np.random.default_rng(5)
    key = np.full(20_000, 7 << 50, np.uint64)
    check = rng.integers(0, 2**32, 20_000, dtype=np.uint32)
    table = make_table(Entries(key, check, np.zeros(20_000, np.uint32)))
    assert table.check is not None
    assert table.check.tolist() == sorted(set(check.tolist()))
    probe, entry = find(np.array([10], np.uint8), 10, key[:1], table)
    assert len(probe) == len(entry) == len(table.key)
