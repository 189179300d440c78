"""Names in captions: whole words, whatever their case and accents.

`fold`, `tokens` and `validate_name` need nothing compiled; `FirstWords`, `fold_array` and `probe_names`
load numba when they are first asked for.
"""

from typing import TYPE_CHECKING, Any

from optout.names.fold import MAX_WORDS, fold, tokens, validate_name

if TYPE_CHECKING:
    from optout.names.kernel import FirstWords, fold_array, probe_names

__all__ = ["MAX_WORDS", "FirstWords", "fold", "fold_array", "probe_names", "tokens", "validate_name"]

_COMPILED = frozenset({"FirstWords", "fold_array", "probe_names"})


def __getattr__(name: str) -> Any:
    if name not in _COMPILED:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from optout.names import kernel

    return getattr(kernel, name)
