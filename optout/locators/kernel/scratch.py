"""The scratch memory of the kernel."""

from typing import Any, NamedTuple

import numpy as np

from optout.locators.kernel.memory import FULL, META, ROOM
from optout.locators.kernel.waiting import new_waiting
from optout.locators.status import MAX_BYTES

__all__ = ["Scratch", "new_scratch"]


class Scratch(NamedTuple):
    """Buffers that one call works in: arrays outside of compiled code, pointers within.

    `meta` has a row for the locator and for each of the origins that it wraps.
    """

    text: Any
    """uint8: the text being read."""
    clean: Any
    """uint8: the same without references, blanks at the ends, tabs and line ends."""
    made: Any
    """uint8[FULL + 9 * ROOM]: canonical locators and variant keys, each after PAD bytes."""
    slashes: Any
    """int64: where the slashes of the path stand."""
    meta: Any
    """int64[4 * META]: where its parts end."""
    used: Any
    """int64[2]: how much of `made` is used, how many texts wait to be hashed."""
    waiting: Any
    """Texts in `made` that wait to be hashed: a `Waiting`."""


def new_scratch() -> Scratch:
    """Fresh buffers."""
    return Scratch(
        np.zeros(MAX_BYTES + 512, np.uint8),
        np.zeros(MAX_BYTES + 512, np.uint8),
        np.zeros(FULL + 9 * ROOM, np.uint8),
        np.zeros(MAX_BYTES + 8, np.int64),
        np.zeros(4 * META, np.int64),
        np.zeros(2, np.int64),
        new_waiting(),
    )
