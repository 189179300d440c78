"""UUIDs of version 7."""

import threading
import time
import uuid

from registry.identifiers import uuid7, uuid7_hex


def test_version_variant_and_time() -> None:
    before = time.time_ns() // 1_000_000
    made = uuid7()
    after = time.time_ns() // 1_000_000
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before <= made.int >> 80 <= after + 1


def test_each_is_larger_than_the_one_before_even_between_threads() -> None:
    made: list[list[uuid.UUID]] = [[] for _ in range(4)]

    def fill(mine: list[uuid.UUID]) -> None:
        mine.extend(uuid7() for _ in range(5_000))

    threads = [threading.Thread(target=fill, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(mine == sorted(mine) for mine in made)
    assert len({one for mine in made for one in mine}) == 20_000


def test_many_at_once_are_as_good_as_one_by_one() -> None:
    before = uuid7()
    many = [uuid.UUID(hex=text) for text in uuid7_hex(5000)]
    assert before < many[0]
    assert many == sorted(set(many))
    assert uuid7() > many[-1]
    assert {(one.version, one.variant) for one in many} == {(7, uuid.RFC_4122)}
