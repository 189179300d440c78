"""Locks that belong to a database session: a killed process gives them back."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection

__all__ = ["BUILDING", "EMBEDDING", "HASHING", "IMPORTING", "session_lock"]

BUILDING = 0x736E6170  # "snap"
IMPORTING = 0x696D7074  # "impt"
HASHING = 0x68617368  # "hash"
EMBEDDING = 0x656D6264  # "embd"


@contextmanager
def session_lock(space: int, number: int = 0) -> Iterator[bool]:
    """Try to hold one of the locks called `space`; yields whether it was free. Never waits."""
    names = [space, number % 2**31]
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s, %s)", names)
        (held,) = cursor.fetchone()
    try:
        yield held
    finally:
        # A connection that broke has given the lock back already.
        if held and connection.connection is not None and connection.is_usable():
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_advisory_unlock(%s, %s)", names)
