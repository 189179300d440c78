"""The decorator of every compiled function here."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import njit
from numba.extending import intrinsic

__all__ = ["compiled", "inline_code", "source_stamp"]


def _digest_of_sources() -> str:
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"\0".join(path.name.encode() + path.read_bytes() for path in sources)).hexdigest()


_STAMP = _digest_of_sources()


def source_stamp(function: Any) -> Any:
    """What the cached code of a compiled function must have been made from."""
    return function._cache._cache_file._source_stamp


def compiled(function: Callable[..., Any]) -> Any:
    """Compile when first called, without the interpreter's lock, and keep the code on disk.

    numba takes cached code for valid while the file of the function itself is unchanged, though the code of
    all functions that it calls is in there. Here it is valid while no file of the kernel has changed.
    """
    dispatcher: Any = njit(cache=True, nogil=True)(function)
    dispatcher._cache._cache_file._source_stamp = _STAMP
    return dispatcher


def inline_code(function: Callable[..., Any]) -> Any:
    """A function that writes its own code; type checkers cannot follow what numba makes of its arguments."""
    return intrinsic(function)
