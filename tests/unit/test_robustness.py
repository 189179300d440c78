"""What docs/robustness.md promises, on a few of its works; `make robustness` measures all."""

import numpy as np
import pytest
from PIL import Image

from benchmarks.robustness.edits import BY_ORIENTATIONS, BY_VIEWS, EDITS, encoded
from benchmarks.robustness.measure import COUNTED, Counts, Hashed, Measured, claim, find, hash_file
from benchmarks.robustness.report import missed, written
from benchmarks.robustness.works import Work, works
from optout.snapshot import Snapshot

CHOSEN = ("astronaut/0", "chelsea/0", "coffee/0", "motorcycle_left/0", "rocket/0")


@pytest.fixture(scope="module")
def claimed() -> tuple[list[Work], Snapshot, list[Hashed]]:
    chosen, snapshot, refused = claim([work for work in works() if work.name in CHOSEN])
    assert refused == 0
    return chosen, snapshot, [hash_file(encoded(work.image, "PNG")) for work in chosen]


@pytest.mark.parametrize("name", [*BY_VIEWS, *BY_ORIENTATIONS, "JPEG 30"])
def test_edited_works_are_found_and_taken_for_no_other(
    claimed: tuple[list[Work], Snapshot, list[Hashed]], name: str
) -> None:
    chosen, snapshot, originals = claimed
    found = find(snapshot, [hash_file(EDITS[name](work.image)) for work in chosen], originals)
    assert found.shape == (len(COUNTED), 5, 5)
    assert (found[0] == np.eye(5, dtype=bool)).all()


def test_a_plain_work_is_counted_as_refused() -> None:
    plain = Work(0, "plain", Image.new("RGB", (300, 200), "white"))
    kept, _, refused = claim([plain, next(work for work in works() if work.name == "coffee/0")])
    assert [work.name for work in kept] == ["coffee/0"]
    assert refused == 1


def test_every_edit_makes_a_file_that_can_be_hashed() -> None:
    work = next(work for work in works() if work.name == "coffee/0")
    assert len(EDITS) > 55
    for edit in EDITS.values():
        assert len(hash_file(edit(work.image)).probes.row) >= 8


def test_the_page_says_what_falls_short() -> None:
    good = Counts(np.ones(5), np.zeros(5, np.int64), 100)
    bad = Counts(np.array([0.5, 0.5, 0.6, 0.1, 0.2]), np.array([0, 1, 2, 3, 4]), 100)
    all_good = Measured(5, 0, dict.fromkeys(EDITS, good), good)
    assert not missed(all_good)
    assert "All of it holds." in written(all_good)
    one_bad = all_good._replace(edits={**all_good.edits, "centre square": bad})
    assert missed(one_bad) == ["centre square"]
    page = written(one_bad)
    assert "| centre square ● | 0.50 | 0.50 | 0.60 | 0.10 | 0.20 | 0 / 1 / 2 / 3 / 4 |" in page
    assert "**Fallen short of: centre square.**" in page
