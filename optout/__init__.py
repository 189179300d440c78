"""The Optout Registry's library: match data against consent claims, filter data sets, prove it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optout.engine import Question
    from optout.filter import filter_dataset, filter_shard
    from optout.snapshot import build_snapshot, open_snapshot
    from optout.words import Use

__all__ = ["Question", "Use", "build_snapshot", "filter_dataset", "filter_shard", "open_snapshot"]

_HOMES = {
    "Question": "engine",
    "Use": "words",
    "build_snapshot": "snapshot",
    "filter_dataset": "filter",
    "filter_shard": "filter",
    "open_snapshot": "snapshot",
}


def __getattr__(name: str) -> Any:
    # Late, so that `optout --help` loads neither Arrow nor numba.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
