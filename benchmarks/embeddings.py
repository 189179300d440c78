"""A million claimed embeddings, 768 dimensions of float16: our search against faiss's flat index.

The vectors are drawn to look like CLIP's: a mean that all share, variance that falls off over the axes,
topics whose pictures are close to each other without being copies, and planted copies at every cosine around
the threshold.
"""

import sys
from collections.abc import Callable
from time import process_time

from benchmarks.common import Report, one_core

one_core()  # before faiss starts its threads

import faiss
import numpy as np

from optout.embeddings.table import EmbeddingTable, make_embedding_table

CLAIMS = 1_000_000
QUERIES = 1024
DIMENSION = 768
COPIES = 256
MATCH, REVIEW = 0.96, 0.93
ROUNDS = 3
_TOPICS = 5_000
_CHUNK = 50_000


class Pictures:
    """Draws embeddings of pictures of many topics."""

    def __init__(self, seed: int = 5) -> None:
        self.chance = np.random.default_rng(seed)
        self.scale = (np.arange(1, DIMENSION + 1) ** -0.4).astype(np.float32)
        self.scale /= np.linalg.norm(self.scale)
        self.mean = self._residuals(1)[0]
        self.mean /= np.linalg.norm(self.mean)
        self.topics = self._residuals(_TOPICS)

    def draw(self, count: int) -> np.ndarray:
        """float16[count, DIMENSION] of unit length; two have a cosine of about 0.5, of one topic 0.8."""
        out = np.empty((count, DIMENSION), np.float16)
        for start in range(0, count, _CHUNK):
            size = min(_CHUNK, count - start)
            topic = self.topics[self.chance.integers(0, _TOPICS, size)]
            part = np.sqrt(0.5) * self.mean + np.sqrt(0.3) * topic + np.sqrt(0.2) * self._residuals(size)
            out[start : start + size] = part / np.linalg.norm(part, axis=1, keepdims=True)
        return out

    def copies(self, of: np.ndarray, cosines: np.ndarray) -> np.ndarray:
        """float16 like `of`, at these cosines from it."""
        base = of.astype(np.float32)
        away = self._residuals(len(base))
        away -= (away * base).sum(axis=1, keepdims=True) * base
        away /= np.linalg.norm(away, axis=1, keepdims=True)
        cosines = cosines[:, None].astype(np.float32)
        return np.asarray(cosines * base + np.sqrt(1 - cosines**2) * away, np.float16)

    def _residuals(self, count: int) -> np.ndarray:
        return self.chance.standard_normal((count, DIMENSION), np.float32) * self.scale


def main() -> int:
    """Measure and print; 1 when an aim is missed."""
    pictures = Pictures()
    claimed, asked = pictures.draw(CLAIMS), pictures.draw(QUERIES)
    copied = pictures.chance.choice(CLAIMS, COPIES, replace=False)
    asked[:COPIES] = pictures.copies(claimed[copied], np.linspace(0.9, 1, COPIES))
    report = Report(f"Embeddings: {CLAIMS:,} claims, {DIMENSION} dimensions, float16, one thread")
    start = process_time()
    columns = make_embedding_table(claimed, np.arange(CLAIMS, dtype=np.uint32))
    report.add("the table is built", f"{CLAIMS / (process_time() - start):,.0f} claims/s")
    table = EmbeddingTable.from_columns(columns)
    index = faiss.IndexFlatIP(DIMENSION)
    for start_at in range(0, CLAIMS, _CHUNK):
        index.add(columns["vector"][start_at : start_at + _CHUNK].astype(np.float32))
    for name, least, aim in (("match", MATCH, 10.0), ("review", REVIEW, None)):
        compare(report, table, index, asked, name, least, aim)
    return 0 if report.show() else 1


def compare(
    report: Report,
    table: EmbeddingTable,
    index: faiss.Index,
    asked: np.ndarray,
    name: str,
    least: float,
    aim: float | None,
) -> None:
    """Both searches, turn by turn; faiss is given float32 that it need not convert."""
    exact = asked.astype(np.float32)
    exact /= np.linalg.norm(exact, axis=1, keepdims=True)
    found = table.search(asked, least)
    ours, theirs = rounds(lambda: table.search(asked, least), lambda: index.range_search(exact, least))
    limits, _, entries = index.range_search(exact, least)
    rows = np.repeat(np.arange(len(asked)), np.diff(limits.astype(np.int64)))
    wanted = rows * CLAIMS + entries
    held = np.isin(wanted, found.row.astype(np.int64) * CLAIMS + found.entry).sum()
    report.add(f"cosine ≥ {least} ({name})", f"{len(asked) / ours:,.0f} queries/s")
    report.add(
        f"faiss IndexFlatIP, {name}", f"{len(asked) / theirs:,.1f} queries/s", ratio=theirs / ours, aim=aim
    )
    report.at_least(f"recall of faiss's {len(wanted):,} pairs", float(held) / len(wanted), 0.99, "")


def rounds(ours: Callable[[], object], theirs: Callable[[], object]) -> tuple[float, float]:
    """Medians of CPU seconds, measured in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for kept, work in zip(times, (ours, theirs), strict=True):
            start = process_time()
            work()
            kept.append(process_time() - start)
    return float(np.median(times[0])), float(np.median(times[1]))


if __name__ == "__main__":
    sys.exit(main())
