"""The ledger's open-addressing hash table, compiled.

Slots are empty where the first number of `stated` is 0. Ids are digests, so their own bits spread them.
"""

import numpy as np
import numpy.typing as npt

from optout.compiled import compiled

__all__ = ["compare", "grow"]

Ids = npt.NDArray[np.uint64]
Stated = npt.NDArray[np.int64]


@compiled
def grow(ids: Ids, stated: Stated, wanted: int) -> tuple[Ids, Stated]:
    """The table itself, or a larger copy of it that `wanted` ids fill to two thirds at most."""
    slots = len(ids)
    while slots * 2 < wanted * 3:
        slots *= 2
    if slots == len(ids):
        return ids, stated
    larger_ids, larger_stated = np.zeros((slots, 2), np.uint64), np.zeros((slots, 2), np.int64)
    for slot in range(len(ids)):
        if stated[slot, 0]:
            at = _slot_of(larger_ids, larger_stated, ids[slot, 0], ids[slot, 1])
            larger_ids[at] = ids[slot]
            larger_stated[at] = stated[slot]
    return larger_ids, larger_stated


@compiled
def compare(ids: Ids, stated: Stated, new_ids: Ids, new_stated: Stated) -> tuple[npt.NDArray[np.bool_], int]:
    """Which new rows state something else than the table does; unknown ids are added, and counted."""
    differs = np.zeros(len(new_ids), np.bool_)
    added = 0
    for row in range(len(new_ids)):
        at = _slot_of(ids, stated, new_ids[row, 0], new_ids[row, 1])
        if stated[at, 0] == 0:
            ids[at] = new_ids[row]
            stated[at] = new_stated[row]
            added += 1
        differs[row] = stated[at, 0] != new_stated[row, 0] or stated[at, 1] != new_stated[row, 1]
    return differs, added


@compiled
def _slot_of(ids: Ids, stated: Stated, high: np.uint64, low: np.uint64) -> np.int64:
    """Where an id stands, or the empty slot where it belongs."""
    mask = len(ids) - 1
    at = np.int64(low & np.uint64(mask))
    while stated[at, 0] and (ids[at, 0] != high or ids[at, 1] != low):
        at = (at + 1) & mask
    return at
