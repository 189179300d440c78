"""The order of samples, and batches made of them.

The order is a function of the seed, the epoch and the shards alone: shards are shuffled, then the samples of
a few shards at a time are shuffled together. So a place in it is three numbers, and a run that was killed
goes on where it was without reading anything twice. Shapes of pictures decide which batch a sample joins, so
what is waiting for its batch to fill is part of the place.
"""

import random
from collections import Counter, deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from optout.errors import BadInput
from trainer.data.pictures import Size, buckets_of, decode
from trainer.data.shards import BadSample, Shard
from trainer.settings.schema import Data

__all__ = ["Batch", "Place", "Sample", "SampleId", "Stream"]

#: Longer captions are cut before they are tokenised; no text encoder reads that far.
CAPTION_CHARACTERS = 4096
# After so many bad samples in a row there is nothing to train on.
_HOPELESS = 100_000


class SampleId(NamedTuple):
    """Which sample: number of the shard, number in the shard, and the pass over the data."""

    shard: int
    sample: int
    epoch: int


class Sample(NamedTuple):
    """A decoded sample: its id, name, pixels (uint8[height, width, 3]) and caption as it is trained."""

    id: SampleId
    name: str
    pixels: npt.NDArray[np.uint8]
    caption: str
    notes: tuple[str, ...]


class Skipped(NamedTuple):
    """A sample that could not be used, and why."""

    id: SampleId
    name: str
    why: str


@dataclass(frozen=True)
class Place:
    """Where in the order a run is: epoch, window of shards, position in it, samples waiting for a batch."""

    epoch: int = 0
    window: int = 0
    position: int = 0
    waiting: tuple[SampleId, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "waiting": [list(one) for one in self.waiting]}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> "Place":
        return cls(**{**content, "waiting": tuple(SampleId(*one) for one in content["waiting"])})


@dataclass(frozen=True)
class Batch:
    """Samples of one shape.

    Attributes:
        samples: as many as were asked for.
        skipped: what was passed over since the last batch.
        place: where to go on after it.
    """

    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...]
    place: Place
    notes: Counter[str] = field(default_factory=Counter)

    @property
    def pixels(self) -> npt.NDArray[np.uint8]:
        """uint8[batch, height, width, 3]."""
        return np.stack([sample.pixels for sample in self.samples])


class Stream:
    """Endless batches from shards.

    Args:
        shards: at least one.
        settings: of the `[data]` table.
        batch: samples a batch.
        seed: of the order, the mirroring and the dropping of captions.
        rank, world: which of how many processes this is; each takes every `world`-th sample.
    """

    def __init__(
        self,
        shards: Sequence[Shard],
        settings: Data,
        *,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.shards = shards
        self._settings = settings
        self._batch = batch
        self._seed = seed
        self._rank, self._world = rank, world
        side = settings.resolution
        self._buckets = (
            buckets_of(side, settings.bucket_step) if settings.aspect_buckets else [Size(side, side)]
        )

    def batches(self, place: Place = Place()) -> Generator[Batch]:
        """Batches from `place` on; never ends.

        Raises:
            DoesNotHold: a shard was changed.
            BadInput: a shard cannot be read, or no sample of the data can be used (`no_samples`).
        """
        try:
            yield from self._batches(place)
        finally:
            for shard in self.shards:
                shard.close()

    def _batches(self, place: Place) -> Generator[Batch]:
        waiting: dict[tuple[int, ...], list[Sample]] = {}
        for identity in place.waiting:
            found = self._load(identity, fresh=True)
            if isinstance(found, Sample):
                waiting.setdefault(found.pixels.shape, []).append(found)
        skipped: list[Skipped] = []
        for found, after in self._samples(place):
            if isinstance(found, Skipped):
                skipped.append(found)
                continue
            group = waiting.setdefault(found.pixels.shape, [])
            group.append(found)
            if len(group) == self._batch:
                del waiting[found.pixels.shape]
                left = tuple(sample.id for group in waiting.values() for sample in group)
                where = Place(after.epoch, after.window, after.position, left)
                notes = Counter(note for sample in group for note in sample.notes)
                yield Batch(tuple(group), tuple(skipped), where, notes)
                skipped = []

    def _samples(self, place: Place) -> Iterator[tuple[Sample | Skipped, Place]]:
        """Decoded samples in order, by several threads where asked for, each with the place after it."""
        used = False
        for seen, (found, after) in enumerate(self._decoded(place), 1):
            used = used or isinstance(found, Sample)
            if not used and (after.epoch > place.epoch + 1 or seen > _HOPELESS):
                raise BadInput(
                    f"none of {seen} samples can be used; the last: {found.name}: "
                    f"{found.why if isinstance(found, Skipped) else ''}",
                    code="no_samples",
                )
            yield found, after

    def _decoded(self, place: Place) -> Iterator[tuple[Sample | Skipped, Place]]:
        count = self._settings.workers
        with ThreadPoolExecutor(count, "decode") as pool:
            for window in self._order(place):
                if count == 1:
                    yield from ((self._load(identity), after) for identity, after in window)
                else:
                    # To its end before the next one begins, which closes the shards of this one.
                    yield from self._at_once(pool, window, 2 * count)

    def _at_once(
        self, pool: ThreadPoolExecutor, window: Iterator[tuple[SampleId, Place]], ahead: int
    ) -> Iterator[tuple[Sample | Skipped, Place]]:
        running: deque[tuple[Future[Sample | Skipped], Place]] = deque()
        for identity, after in window:
            running.append((pool.submit(self._load, identity), after))
            if len(running) > ahead:
                first, where = running.popleft()
                yield first.result(), where
        yield from ((future.result(), where) for future, where in running)

    def _order(self, place: Place) -> Iterator[Iterator[tuple[SampleId, Place]]]:
        """The windows from `place` on: of each its samples, and the place after each."""
        epoch, window, position = place.epoch, place.window, place.position
        while True:
            groups = self._windows(epoch)
            for number in range(window, len(groups)):
                order = self._window(epoch, number, groups[number])
                yield ((order[at], Place(epoch, number, at + 1)) for at in range(position, len(order)))
                position = 0
            epoch, window = epoch + 1, 0

    def _windows(self, epoch: int) -> list[list[int]]:
        order = list(range(len(self.shards)))
        random.Random(f"{self._seed}/{epoch}").shuffle(order)
        width = self._settings.window
        return [order[start : start + width] for start in range(0, len(order), width)]

    def _window(self, epoch: int, number: int, group: list[int]) -> list[SampleId]:
        """The samples of some shards, shuffled together; this process's share of them."""
        self._hold(group)
        found = [SampleId(one, i, epoch) for one in group for i in range(len(self.shards[one].open()))]
        random.Random(f"{self._seed}/{epoch}/{number}").shuffle(found)
        return found[self._rank :: self._world]

    def _hold(self, group: Sequence[int]) -> None:
        for number, shard in enumerate(self.shards):
            if number not in group:
                shard.close()

    def _load(self, identity: SampleId, *, fresh: bool = False) -> Sample | Skipped:
        shard = self.shards[identity.shard]
        if fresh:
            shard.open()
        name = f"{shard.name}#{identity.sample}"
        try:
            raw = shard.read(identity.sample)
            name = raw.name
            pixels = decode(raw.picture, self._buckets, max_pixels=self._settings.max_pixels)
        except BadSample as error:
            return Skipped(identity, name, str(error))
        chance = random.Random(f"{self._seed}/{identity}")
        if self._settings.flip and chance.random() < 0.5:
            pixels = np.ascontiguousarray(pixels[:, ::-1])
        caption, notes = _tidy(raw.caption)
        if chance.random() < self._settings.caption_dropout:
            caption = ""
        return Sample(identity, name, pixels, caption, notes)


def _tidy(caption: str) -> tuple[str, tuple[str, ...]]:
    """The caption with plain white space and a bound on its length, and what was the matter with it."""
    text = " ".join(caption[:CAPTION_CHARACTERS].split())
    if not text:
        return "", ("empty captions",)
    return text, ("captions cut at their length",) * (len(caption) > CAPTION_CHARACTERS)
