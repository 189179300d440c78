"""The works that a model was trained on, as claims that the matching engine can be asked about.

They are laid over the registry's snapshot in memory, so one engine with the same bounds answers about both.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pyarrow as pa

from optout.exchange import parse_claims
from trainer.audit.looking import Looker
from trainer.data.shards import BadSample, Raw, Shard

__all__ = ["TRAINING", "Work", "Works", "read_works"]

#: Owner of the claims that stand for training works.
TRAINING = "the training data"
_AT_ONCE = 256


class Work(NamedTuple):
    """A work that was trained on: its name in the data, where it lies there, and its caption."""

    name: str
    shard: int
    place: int
    caption: str


@dataclass(frozen=True)
class Works:
    """Training works.

    Attributes:
        works: every one that can be read.
        claims: a table of `optout.exchange.CLAIM_SCHEMA`; the `ref` of a claim is the number of its work.
        unmatchable: how many cannot be matched: too plain, or no picture that can be decoded.
        shards: where they lie.
    """

    works: Sequence[Work]
    claims: pa.Table
    unmatchable: int
    shards: Sequence[Shard]

    def picture(self, number: int) -> bytes:
        """The file of work `number`; its shard stays open until `close`."""
        work = self.works[number]
        shard = self.shards[work.shard]
        shard.open()
        return shard.read(work.place).picture

    def close(self) -> None:
        """Let go of the shards that pictures were read from."""
        for shard in self.shards:
            shard.close()


def read_works(shards: Sequence[Shard], looker: Looker, progress: Callable[[int], object]) -> Works:
    """Read and look at everything that was trained on.

    Args:
        shards: of the data.
        looker: looks at the pictures.
        progress: called with numbers of works done.

    Raises:
        DoesNotHold, BadInput: a shard was changed, or cannot be read.
    """
    works: list[Work] = []
    rows: list[dict[str, str]] = []
    for chunk in _chunks(_samples(shards)):
        seen = looker.look([raw.picture for _, raw in chunk])
        for (work, _), one in zip(chunk, seen, strict=True):
            ref = str(len(works))
            rows += [{"selector": kind, "value": value, "ref": ref} for kind, value in one.selectors]
            works.append(work)
        progress(len(chunk))
    claims = _claims(rows)
    return Works(works, claims, len(works) - len(claims["ref"].unique()), shards)


def _samples(shards: Sequence[Shard]) -> Iterator[tuple[Work, Raw]]:
    for number, shard in enumerate(shards):
        for index in range(len(shard.open())):
            try:
                raw = shard.read(index)
            except BadSample:
                # It cannot have been trained on: the trainer skips it too.
                continue
            yield Work(raw.name, number, index, " ".join(raw.caption.split())), raw
        shard.close()


def _chunks(samples: Iterator[tuple[Work, Raw]]) -> Iterator[list[tuple[Work, Raw]]]:
    chunk: list[tuple[Work, Raw]] = []
    for sample in samples:
        chunk.append(sample)
        if len(chunk) == _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _claims(rows: list[dict[str, str]]) -> pa.Table:
    """Claims of these pictures; those that no hash can tell apart are left out by the exchange's rules."""
    count = len(rows)
    table = pa.table(
        {
            "selector": pa.array([row["selector"] for row in rows], pa.large_string()),
            "value": pa.array([row["value"] for row in rows], pa.large_string()),
            "decision": pa.array(["deny"] * count, pa.large_string()),
            "owner": pa.array([TRAINING] * count, pa.large_string()),
            "ref": pa.array([row["ref"] for row in rows], pa.large_string()),
        }
    )
    return parse_claims(table).claims
