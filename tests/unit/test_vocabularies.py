from pathlib import Path

import pytest

from optout.vocabularies import MAPPINGS, Mapping, markdown_table
from optout.words import Decision, Use

DOCS = Path(__file__).parents[2] / "docs"


def test_the_docs_show_the_table_of_the_code() -> None:
    assert markdown_table() in (DOCS / "uses.md").read_text()


def test_the_docs_name_every_use_and_decision() -> None:
    text = (DOCS / "uses.md").read_text()
    for word in [*Use, *Decision]:
        assert f"`{word.label}`" in text


@pytest.mark.parametrize("mapping", MAPPINGS, ids=lambda mapping: f"{mapping.vocabulary} {mapping.word}")
def test_a_word_that_decides_names_its_uses_and_the_other_way_round(mapping: Mapping) -> None:
    assert bool(mapping.uses) == bool(mapping.decision)


def test_no_word_is_mapped_twice() -> None:
    assert len({(mapping.vocabulary, mapping.word) for mapping in MAPPINGS}) == len(MAPPINGS)


def test_a_constraint_nobody_can_read_is_a_deny() -> None:
    for mapping in MAPPINGS:
        if "constraint" in mapping.word.lower() or "constrained" in mapping.word:
            assert mapping.decision == Decision.DENY
