"""UUIDs of version 7 (RFC 9562): the public identifiers, which sort by the time they were made."""

import secrets
import threading
import time
import uuid

__all__ = ["uuid7"]

_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """A new UUIDv7: 48 bits of milliseconds, 12 bits below them, 62 random bits.

    Within one process every result is larger than the one before: the 12 bits hold the fraction of the
    millisecond and move on by one when the clock has not.
    """
    global _last
    with _lock:
        stamp = time.time_ns() * 4096 // 1_000_000
        _last = stamp = max(stamp, _last + 1)
    return uuid.UUID(
        int=(stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64 | 0b10 << 62 | secrets.randbits(62)
    )
