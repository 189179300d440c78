"""Filtering data sets: Parquet shards in, the same shards without what was reserved out, and a receipt."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optout.filter.dataset import ShardsFailed, Summary, filter_dataset
    from optout.filter.modes import MaskFormat, Mode
    from optout.filter.results import ShardResult
    from optout.filter.settings import ColumnNames, Settings
    from optout.filter.shard import filter_shard

__all__ = [
    "ColumnNames",
    "MaskFormat",
    "Mode",
    "Settings",
    "ShardResult",
    "ShardsFailed",
    "Summary",
    "filter_dataset",
    "filter_shard",
]

_HOMES = {
    "ColumnNames": "settings",
    "MaskFormat": "modes",
    "Mode": "modes",
    "Settings": "settings",
    "ShardResult": "results",
    "ShardsFailed": "dataset",
    "Summary": "dataset",
    "filter_dataset": "dataset",
    "filter_shard": "shard",
}


def __getattr__(name: str) -> Any:
    # Late, so that the command can name modes without loading Arrow and numba.
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
