"""What a run has seen: which samples it trained on, and which it passed over. Kept with every checkpoint."""

import base64
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from trainer.data.stream import Batch

__all__ = ["History"]

# So many skipped samples are named; of more only the number is kept.
_NAMED = 10_000


class History:
    """Samples seen, a bit each, and samples skipped.

    Args:
        shards: names of the shards, in their order.
    """

    def __init__(self, shards: Iterable[str]) -> None:
        self._shards = list(shards)
        self._seen: dict[int, npt.NDArray[np.bool_]] = {}
        self.skipped: dict[str, str] = {}
        self.skipped_unnamed = 0
        self.notes: Counter[str] = Counter()
        self.pictures = 0

    def add(self, batch: Batch) -> None:
        """Count a batch that was trained on."""
        self.pictures += len(batch.samples)
        self.notes.update(batch.notes)
        for sample in batch.samples:
            self._mark(sample.id.shard, sample.id.sample)
        for one in batch.skipped:
            # A later pass over the data meets the same ones.
            if one.id.epoch == 0 and len(self.skipped) >= _NAMED:
                self.skipped_unnamed += 1
            elif one.id.epoch == 0:
                self.skipped[one.name] = one.why

    def _mark(self, shard: int, index: int) -> None:
        bits = self._seen.get(shard)
        if bits is None or index >= len(bits):
            grown = np.zeros(max(64, 2 * index), np.bool_)
            if bits is not None:
                grown[: len(bits)] = bits
            self._seen[shard] = bits = grown
        bits[index] = True

    @property
    def distinct(self) -> int:
        """How many different samples were trained on."""
        return sum(int(bits.sum()) for bits in self._seen.values())

    @property
    def skips(self) -> int:
        return len(self.skipped) + self.skipped_unnamed

    def seen(self) -> Iterator[tuple[str, list[int]]]:
        """Shard by shard: its name, and the numbers of the samples seen."""
        for shard, bits in sorted(self._seen.items()):
            yield self._shards[shard], np.flatnonzero(bits).tolist()

    def as_json(self) -> dict[str, Any]:
        return {
            "seen": {str(shard): _pack(bits) for shard, bits in sorted(self._seen.items())},
            "skipped": self.skipped,
            "skipped_unnamed": self.skipped_unnamed,
            "notes": dict(self.notes),
            "pictures": self.pictures,
        }

    def restore(self, content: Mapping[str, Any]) -> None:
        """Take over what `as_json` gave."""
        self._seen = {int(shard): _unpack(text) for shard, text in content["seen"].items()}
        self.skipped = dict(content["skipped"])
        self.skipped_unnamed = content["skipped_unnamed"]
        self.notes = Counter(content["notes"])
        self.pictures = content["pictures"]

    def merge(self, content: Mapping[str, Any]) -> None:
        """Add what another process has seen."""
        other = History(self._shards)
        other.restore(content)
        for shard, bits in other._seen.items():
            for index in np.flatnonzero(bits).tolist():
                self._mark(shard, index)
        self.skipped.update(other.skipped)
        self.skipped_unnamed += other.skipped_unnamed
        self.notes.update(other.notes)
        self.pictures += other.pictures


def _pack(bits: npt.NDArray[np.bool_]) -> str:
    return base64.b64encode(np.packbits(bits).tobytes()).decode("ascii")


def _unpack(text: str) -> npt.NDArray[np.bool_]:
    return np.unpackbits(np.frombuffer(base64.b64decode(text), np.uint8)).astype(np.bool_)
