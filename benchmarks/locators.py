"""Locators: canonical forms and lookup keys of generated URLs against urlsplit and can_ada, one thread."""

import sys
from functools import partial
from urllib.parse import urlsplit

import can_ada
import numpy as np
import pyarrow as pa

from benchmarks.common import Report, median_seconds, one_core
from demo import laion
from optout.locators import canonicalise, probe_keys, siphash13, variant_key
from optout.words import SelectorKind

ROWS = 1_000_000
PEER_ROWS = 100_000
KEY = bytes(range(16))


def split_and_rebuild(urls: list[str]) -> list[int]:
    """The usual way in Python: split, lower the host, rebuild, hash."""
    found = []
    for url in urls:
        parts = urlsplit(url)
        host = (parts.hostname or "").removeprefix("www.")
        found.append(hash(f"{host}{parts.path}?{parts.query}"))
    return found


def parse(urls: list[str]) -> None:
    """The WHATWG parser, nothing kept."""
    for url in urls:
        can_ada.parse(url)


def check(urls: pa.Array) -> None:
    """The first keys are those of the plain functions: what is measured is right."""
    probes = probe_keys(urls[:200], sip_key=KEY, kinds=frozenset({SelectorKind.URL}))
    locators, _ = canonicalise(urls[:200])
    outer = probes.key[probes.level == 0].tolist()
    expected = [siphash13(variant_key(text).encode(), KEY) for text in locators.to_pylist()]
    if outer != expected:
        raise SystemExit("the kernel disagrees with the plain functions")


def main() -> int:
    """Measure, print the table; 1 when a figure falls short of its aim."""
    one_core()
    urls = laion.rows(0, ROWS)["URL"].combine_chunks()
    urls = urls.combine_chunks() if isinstance(urls, pa.ChunkedArray) else urls
    few = urls[:PEER_ROWS].to_pylist()
    check(urls)
    kinds = {
        "url": {SelectorKind.URL},
        "url + domain": {SelectorKind.URL, SelectorKind.DOMAIN},
        "url + domain + prefix": {SelectorKind.URL, SelectorKind.DOMAIN, SelectorKind.PREFIX},
    }
    # Prefixes are five or six more probes a row.
    aims = {"url": 10, "url + domain": 10, "url + domain + prefix": 6}
    size = np.mean([len(url) for url in few])
    report = Report(f"Locators: {ROWS:,} LAION-like URLs of {size:.0f} characters, one thread")
    split = PEER_ROWS / median_seconds(lambda: split_and_rebuild(few))
    ada = PEER_ROWS / median_seconds(lambda: parse(few))
    report.add("urlsplit, rebuild, hash", f"{split:,.0f} rows/s")
    report.add("can_ada.parse alone", f"{ada:,.0f} rows/s")
    speed = ROWS / median_seconds(lambda: canonicalise(urls))
    report.add("canonicalise, against urlsplit", f"{speed:,.0f} rows/s", ratio=speed / split, aim=15)
    report.add("canonicalise, against can_ada", f"{speed:,.0f} rows/s", ratio=speed / ada, aim=1.5)
    for name, asked in kinds.items():
        wanted = frozenset(asked)
        speed = ROWS / median_seconds(partial(probe_keys, urls, sip_key=KEY, kinds=wanted))
        report.add(
            f"probe_keys {name}, against urlsplit",
            f"{speed:,.0f} rows/s",
            ratio=speed / split,
            aim=aims[name],
        )
    return 0 if report.show() else 1


if __name__ == "__main__":
    sys.exit(main())
