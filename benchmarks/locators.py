"""Locators: canonical forms and lookup keys of generated URLs against urlsplit and can_ada, one thread."""

import sys
from collections.abc import Callable
from functools import partial
from statistics import median
from urllib.parse import urlsplit

import can_ada
import numpy as np
import pyarrow as pa

from benchmarks.common import Report, in_rounds, median_ratio, one_core
from demo import laion
from optout.locators import canonicalise, probe_keys, siphash13, variant_key
from optout.words import SelectorKind

ROWS = 1_000_000
PEER_ROWS = 100_000
ROUNDS = 7
KEY = bytes(range(16))
KINDS = {
    "url": frozenset({SelectorKind.URL}),
    "url + domain": frozenset({SelectorKind.URL, SelectorKind.DOMAIN}),
    "url + domain + prefix": frozenset({SelectorKind.URL, SelectorKind.DOMAIN, SelectorKind.PREFIX}),
}
SPLIT, ADA = "urlsplit, rebuild, hash", "can_ada.parse alone"
# Prefixes are five or six more probes a row.
AIMS = [
    ("canonicalise", SPLIT, 15.0),
    ("canonicalise", ADA, 1.5),
    ("probe_keys url", SPLIT, 10.0),
    ("probe_keys url + domain", SPLIT, 10.0),
    ("probe_keys url + domain + prefix", SPLIT, 6.0),
]


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
    asked = {
        f"probe_keys {name}": partial(probe_keys, urls, sip_key=KEY, kinds=kinds)
        for name, kinds in KINDS.items()
    }
    canonical = partial(canonicalise, urls)
    peers: dict[str, Callable[[], object]] = {
        SPLIT: partial(split_and_rebuild, few),
        ADA: partial(parse, few),
    }
    spent = in_rounds({**peers, "canonicalise": canonical, **asked}, ROUNDS)
    costs = {
        name: [one.cpu / (PEER_ROWS if name in peers else ROWS) for one in found]
        for name, found in spent.items()
    }
    size = np.mean([len(url) for url in few])
    report = Report(
        f"Locators: {ROWS:,} LAION-like URLs of {size:.0f} characters, one thread, "
        f"CPU time, medians of {ROUNDS} rounds"
    )
    for name in peers:
        report.add(name, _cost(costs[name]))
    for name, peer, aim in AIMS:
        ratio = median_ratio(costs[peer], costs[name])
        report.add(f"{name}, against {peer}", _cost(costs[name]), ratio=ratio, aim=aim)
    return 0 if report.show() else 1


def _cost(seconds: list[float]) -> str:
    """Nanoseconds a row, and the worst round beside the median."""
    return f"{1e9 * median(seconds):,.0f} ns a row (worst {1e9 * max(seconds):,.0f})"


if __name__ == "__main__":
    sys.exit(main())
