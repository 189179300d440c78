"""What filtering a shard comes to."""

from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

__all__ = ["Counts", "Described", "ShardResult"]


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
    """

    rows: int = 0
    kept: int = 0
    dropped: int = 0
    errors: int = 0
    flagged: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    error_reasons: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, int] = field(default_factory=dict)

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
        output: the output's name, relative to the output directory.
        input_file, output_file: digest, size and time of both.
        counts: what became of the rows.
        plan: snapshot, question and settings, as `plan_of` gives them.
        seconds: how long it took.
    """

    name: str
    output: str
    input_file: Described
    output_file: Described
    counts: Counts
    plan: dict[str, Any]
    seconds: float

    @property
    def proven(self) -> bool:
        """Whether a receipt can speak of it."""
        return bool(self.output_file.sha256)
