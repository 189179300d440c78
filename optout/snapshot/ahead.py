"""Asking the system to read a mapped file before it is searched."""

import ctypes
import mmap
from typing import Any

import numpy.typing as npt

__all__ = ["WINDOW", "read_ahead"]

#: One request, and one search at a place that was not read yet, makes Linux read about this much.
WINDOW = 128 << 10


def read_ahead(array: npt.NDArray[Any]) -> None:
    """Have the file under a mapped array read, without waiting for it.

    A search at random places asks for one page after the other, and waits for the disk each time; this asks
    for all of them. It is a hint: where the system knows no such request nothing happens.
    """
    advise = getattr(ctypes.CDLL(None), "madvise", None)
    wanted = getattr(mmap, "MADV_WILLNEED", None)
    if advise is None or wanted is None:
        return
    end = array.ctypes.data + array.nbytes
    for place in range(array.ctypes.data // WINDOW * WINDOW, end, WINDOW):
        start = max(place, array.ctypes.data // mmap.PAGESIZE * mmap.PAGESIZE)
        size = min(place + WINDOW, end) - start
        if advise(ctypes.c_void_p(start), ctypes.c_size_t(size), wanted):
            return
