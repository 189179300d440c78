"""The decorator of every compiled function of the library, and where their machine code is kept."""

# mypy: disable-error-code="no-untyped-call,misc"

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["compiled", "inline_code", "inlined", "source_stamp"]

_HERE = Path(__file__).parent
_MARK = b"optout.compiled import"


def _choose_cache() -> None:
    """Give numba a folder of ours where it could write neither beside the code nor to the person's cache.

    It looks at the variable when it is first imported.
    """
    home = Path.home()
    if "NUMBA_CACHE_DIR" in os.environ or os.access(_HERE, os.W_OK) or os.access(home, os.W_OK):
        return
    folder = Path(tempfile.gettempdir(), f"optout-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    # Machine code is loaded from there: somebody else's folder of that name is not used.
    if folder.stat().st_uid != os.getuid() or folder.stat().st_mode & 0o077:
        folder = Path(tempfile.mkdtemp(prefix="optout-"))
    os.environ["NUMBA_CACHE_DIR"] = str(folder)


_choose_cache()

from numba import njit  # noqa: E402 -- once the cache is chosen
from numba.core.caching import IndexDataCacheFile  # noqa: E402
from numba.extending import intrinsic  # noqa: E402


def _digest_of_sources() -> str:
    """SHA-256 over every file of the library that holds compiled functions."""
    digest = hashlib.sha256(Path(__file__).read_bytes())
    for path in sorted(_HERE.rglob("*.py")):
        content = path.read_bytes()
        if _MARK in content:
            digest.update(path.name.encode() + b"\0" + content)
    return digest.hexdigest()


_STAMP = _digest_of_sources()


def source_stamp(function: Any) -> Any:
    """What the cached code of a compiled function must have been made from."""
    return function._cache._cache_file._source_stamp


def compiled(function: Callable[..., Any]) -> Any:
    """Compile when first called, without the interpreter's lock, and keep the code on disk.

    numba takes cached code for valid while the file of the function itself is unchanged, though the code of
    all functions that it calls is in there. Here it is valid while no file with compiled code has changed.
    """
    return _stamped(njit(cache=True, nogil=True)(function))


def inlined(function: Callable[..., Any]) -> Any:
    """As `compiled`, as part of whatever calls it.

    Tuples are handed over one item after the other: a call with many tables costs more than a short function.
    """
    return _stamped(njit(cache=True, nogil=True, forceinline=True)(function))


class _InstalledFirst(IndexDataCacheFile):
    """What was compiled at installation, beside the source, and else the cache of one's own."""

    def __init__(self, own: Any, installed: Path) -> None:
        base = own._index_name.removesuffix(".nbi")
        super().__init__(own._cache_path, base, _STAMP)
        self._installed = IndexDataCacheFile(str(installed), base, _STAMP)

    def load(self, key: Any) -> Any:
        found = self._installed.load(key)
        return super().load(key) if found is None else found


def _stamped(dispatcher: Any) -> Any:
    own = dispatcher._cache._cache_file
    installed = Path(dispatcher.py_func.__code__.co_filename).parent / "__pycache__"
    if Path(own._cache_path) == installed:
        own._source_stamp = _STAMP
    else:
        # Somebody who may not write there need not compile again what the installation did.
        dispatcher._cache._cache_file = _InstalledFirst(own, installed)
    return dispatcher


def inline_code(function: Callable[..., Any]) -> Any:
    """A function that writes its own code; type checkers cannot follow what numba makes of its arguments."""
    return intrinsic(function)
