"""Layers of newer claims: whatever is laid over a snapshot, the last word about each claim counts."""

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.engine import Question
from optout.exchange import CLAIM_SCHEMA
from optout.snapshot import Manifest, Snapshot
from optout.words import Decision, SelectorKind, Use
from registry.layers import Layer, stack

EMPTY = Snapshot(Manifest("00" * 16, (), {}), "0" * 64, ())
CLAIMS = 6
#: One step: for some claims what they say now, None when they were withdrawn.
Steps = list[dict[int, Decision | None]]


def table(said: dict[int, Decision | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {
                "row": 0,
                "kind": int(SelectorKind.URL),
                "value": f"x.example/{number}",
                "decision": int(decision),
                "uses": int(Use.TDM.covered),
                "owner": "anna",
                "ref": "",
                "valid_from": None,
                "terms_url": "https://x.example/terms" if decision == Decision.TERMS else "",
                "title": "",
                "grade": 0,
                "claim_id": number.to_bytes(16, "big"),
            }
            for number, decision in said.items()
            if decision is not None
        ],
        schema=CLAIM_SCHEMA,
    )


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.integers(0, CLAIMS - 1), st.sampled_from([None, *Decision]), min_size=1),
        max_size=8,
    )
)
def test_the_last_word_about_each_claim_counts(steps: Steps) -> None:
    layers: list[Layer] = []
    last: dict[int, Decision | None] = {}
    for said in steps:
        changed = [number.to_bytes(16, "big") for number in said if number in last]
        stack(EMPTY, layers, [table(said)], changed)
        last |= said
    snapshot = layers[-1].snapshot if layers else EMPTY
    answers = snapshot.check(
        [{"url": f"https://x.example/{number}"} for number in range(CLAIMS)], Question(use=Use.AI_TRAIN)
    )
    words = {None: "unreserved", Decision.ALLOW: "allowed", Decision.TERMS: "terms", Decision.DENY: "denied"}
    assert [answer["outcome"] for answer in answers] == [words[last.get(number)] for number in range(CLAIMS)]


def test_many_small_steps_make_few_layers() -> None:
    layers: list[Layer] = []
    for number in range(200):
        stack(EMPTY, layers, [table({number: Decision.DENY})], [])
    assert len(layers) <= 9
    assert sum(layer.weight for layer in layers) == 200
