"""UUIDs of version 7 (RFC 9562): the public identifiers, which sort by the time they were made."""

import secrets
import threading
import time
import uuid

__all__ = ["uuid7", "uuid7_hex"]

_lock = threading.Lock()
_last = 0


def uuid7() -> uuid.UUID:
    """A new UUIDv7: 48 bits of milliseconds, 12 bits below them, 62 random bits.

    Within one process every result is larger than the one before: the 12 bits hold the fraction of the
    millisecond and move on by one when the clock has not.
    """
    return uuid.UUID(hex=uuid7_hex(1)[0])


def uuid7_hex(count: int) -> list[str]:
    """Many new UUIDv7 at once, ascending, each as 32 hex digits."""
    global _last
    with _lock:
        first = max(time.time_ns() * 4096 // 1_000_000, _last + 1)
        _last = first + count - 1
    random = secrets.token_bytes(8 * count)
    return [
        f"{stamp >> 12:012x}7{stamp & 0xFFF:03x}{0b10 << 62 | int.from_bytes(random[at : at + 8]) >> 2:016x}"
        for stamp, at in zip(range(first, first + count), range(0, 8 * count, 8), strict=True)
    ]
