"""Counting registrable domains, against the public suffix list's own parser."""

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from publicsuffixlist import PublicSuffixList

from optout.filter.domains import DomainCounter, merge_counts, top_domains

SUFFIXES = PublicSuffixList(only_icann=True)
LABELS = st.sampled_from(
    ["a", "www", "shop", "example", "com", "co", "uk", "jp", "kawasaki", "city", "ck", "tokyo"]
)


def counted(urls: pa.Array, keep: np.ndarray | None = None) -> dict[str, int]:
    counter = DomainCounter()
    for start in range(0, len(urls), 3):
        part = urls.slice(start, 3)
        counter.add(part, np.ones(len(part), np.bool_) if keep is None else keep[start : start + 3])
    return dict(top_domains(counter.table(), 1000))


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(LABELS, min_size=1, max_size=5).map(".".join), max_size=12))
@example(["city.kawasaki.jp", "a.city.kawasaki.jp", "a.b.kawasaki.jp", "kawasaki.jp", "www.ck"])
def test_agrees_with_the_list(hosts: list[str]) -> None:
    urls = pa.array([f"https://{host}/path.jpg" for host in hosts], pa.string())
    assert counted(urls) == Counter(SUFFIXES.privatesuffix(host) or host for host in hosts)


@pytest.mark.parametrize(
    ("url", "domain"),
    [
        ("HTTP://User:Pw@WWW.Example.CO.UK:8080?x=//y", "example.co.uk"),
        ("//example.org./a", "example.org"),
        ("https://192.168.0.1/a", "192.168.0.1"),
        ("https://[2001:db8::1]:80/a", "[2001:db8::1]"),
        ("https://bücher.example/a", "xn--bcher-kva.example"),
        ("https://someone.wordpress.com/a", "wordpress.com"),
        ("https://www.ck/a", "www.ck"),
        ("example.com/no/scheme", "example.com"),
    ],
)
def test_hosts_as_they_occur(url: str, domain: str) -> None:
    assert counted(pa.array([url, None, ""])) == {domain: 1}


@pytest.mark.parametrize(
    "kind", [pa.string(), pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())]
)
def test_types_slices_and_rows_not_kept(kind: pa.DataType) -> None:
    urls = pa.array([f"https://h{number % 4}.example/" for number in range(40)]).cast(kind).slice(3, 33)
    keep = np.arange(33) % 2 == 0
    expected = Counter(f"h{(number + 3) % 4}.example" for number in range(0, 33, 2))
    assert counted(urls, keep) == expected


def test_counts_merge() -> None:
    tables = []
    for start in (0, 20_000):
        counter = DomainCounter()
        numbers = range(start, start + 30_000)
        counter.add(
            pa.array([f"https://h{number}.example/" for number in numbers]), np.ones(30_000, np.bool_)
        )
        tables.append(counter.table())
    merged = merge_counts(tables)
    assert merged.num_rows == 50_000
    assert top_domains(merged, 2) == [("h20000.example", 2), ("h20001.example", 2)]
    assert merge_counts([]).num_rows == 0
