"""What filtering a shard comes to."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

__all__ = ["MOST_NAMED", "Counts", "Described", "ShardResult"]

#: How many of the items of a shard that cannot be judged are told by name.
MOST_NAMED = 20


class Described(NamedTuple):
    """A file as it was when looked at: SHA-256 in hex ("" if not taken), size, time of its last change."""

    sha256: str
    bytes: int
    mtime_ns: int


@dataclass(frozen=True)
class Counts:
    """What became of rows: `rows` is `kept` + `dropped` + `errors`; errors that are kept count twice.

    Attributes:
        rows: rows read.
        kept: rows that stay.
        dropped: rows left out because of a claim.
        errors: rows that cannot be judged.
        flagged: rows whose caption names somebody who has a claim; kept unless something else speaks.
        reasons: rows left out, by the kind of selector that decided.
        error_reasons: rows that cannot be judged, by why.
        outcomes: all rows, by outcome.
        unasked: rows not compared with claims by a kind of selector, for lack of what to compare, by kind.
    """

    rows: int = 0
    kept: int = 0
    dropped: int = 0
    errors: int = 0
    flagged: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    error_reasons: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)
    unasked: dict[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(**{name: _plus(value, getattr(other, name)) for name, value in asdict(self).items()})


def _plus(left: Any, right: Any) -> Any:
    if isinstance(left, int):
        return left + right
    return {key: left.get(key, 0) + right.get(key, 0) for key in sorted({*left, *right})}


@dataclass(frozen=True)
class ShardResult:
    """A finished shard: what is in its completion marker.

    Attributes:
        name: the input's name, relative to the source.
        output: the output's name, relative to the output directory; the marker stands beside it.
        inputs: every file read, by its name relative to the source: digest, size and time.
        outputs: every file written, by its name relative to the output directory.
        counts: what became of the rows.
        plan: snapshot, question and settings, as `plan_of` gives them.
        seconds: how long it took.
        proven: whether a receipt can speak of it: the digests are there.
        named: sentences about items that could not be judged, each with the item's name; the first few.
    """

    name: str
    output: str
    inputs: dict[str, Described]
    outputs: dict[str, Described]
    counts: Counts
    plan: dict[str, Any]
    seconds: float
    proven: bool
    named: tuple[str, ...] = ()

    @property
    def input_file(self) -> Described:
        """The shard's own file, for kinds of shards that are one file."""
        return self.inputs[self.name]

    @property
    def output_file(self) -> Described:
        """What was made of the shard's own file."""
        return self.outputs[self.output]
