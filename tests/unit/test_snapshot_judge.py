from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from optout.engine import Items, Question
from optout.errors import BadInput, UsageError
from optout.snapshot import Snapshot
from optout.words import Grade, Outcome, SelectorKind, Use
from tests.unit.snapshot_support import built, claim

SHA = "ab" * 32
MD5 = "cd" * 16
TRAIN = Question(Use.AI_TRAIN)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return built(
        tmp_path_factory.mktemp("judge") / "snapshot",
        claim("url", "example.org/a.jpg"),
        claim("url", "example.net/allowed.jpg", decision="allow", owner="bob"),
        claim("domain", "example.net", owner="bob"),
        claim(
            "prefix",
            "example.com/gallery",
            decision="terms",
            owner="cy",
            terms_url="https://example.com/terms",
        ),
        claim("sha256", SHA, owner="dan", title="A work"),
        claim("md5", MD5, owner="dan", uses=Use.SEARCH),
        claim("name", "greta garbo", owner="eve"),
        claim("url", "example.org/later.jpg", owner="fay", valid_from=datetime(2030, 1, 1, tzinfo=UTC)),
        claim("url", "example.org/proven.jpg", owner="gil", grade=Grade.DOMAIN_PROVEN, ref="work-7"),
    )


def answer(snapshot: Snapshot, question: Question = TRAIN, **item: str | None) -> dict[str, Any]:
    return snapshot.check([item], question)[0]


@pytest.mark.parametrize(
    ("url", "outcome", "how", "matched"),
    [
        ("https://example.org/a.jpg", "denied", "canonical", "example.org/a.jpg"),
        ("http://WWW.example.org./x/../a.jpg#top", "denied", "canonical", "example.org/a.jpg"),
        ("https://example.org/a-300x200.jpg", "denied", "variant", "example.org/a-300x200.jpg"),
        ("https://i0.wp.com/example.org/a.jpg", "denied", "origin", "example.org/a.jpg"),
        (
            "https://i0.wp.com/example.org/a-150x150.jpg",
            "denied",
            "origin-variant",
            "example.org/a-150x150.jpg",
        ),
        ("https://cdn.example.net/b.jpg", "denied", "domain", "example.net"),
        ("https://i0.wp.com/cdn.example.net/b.jpg", "denied", "origin", "example.net"),
        ("https://example.com/gallery/1/2.png?x=1", "terms", "prefix", "example.com/gallery"),
        ("https://example.net/allowed.jpg", "allowed", "canonical", "example.net/allowed.jpg"),
    ],
)
def test_every_way_to_match_a_url(snapshot: Snapshot, url: str, outcome: str, how: str, matched: str) -> None:
    given = answer(snapshot, url=url)
    first = given["reasons"][0]
    assert (given["outcome"], first["how"], first["matched"]) == (outcome, how, matched)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/b.jpg",
        "https://notexample.net/",
        "https://example.com/galleryx",
        "https://example.com/",
    ],
)
def test_what_is_not_claimed_is_unreserved(snapshot: Snapshot, url: str) -> None:
    assert answer(snapshot, url=url) == {"outcome": "unreserved", "error": None, "flags": [], "reasons": []}


def test_a_reason_says_all_there_is_to_say(snapshot: Snapshot) -> None:
    given = answer(snapshot, sha256=SHA.upper())
    assert given["reasons"] == [
        {
            "claim": given["reasons"][0]["claim"],
            "owner": "dan",
            "ref": "",
            "selector": "sha256",
            "matched": SHA,
            "how": "digest",
            "decision": "deny",
            "grade": 0,
            "valid_from": None,
            "terms_url": "",
            "title": "A work",
            "tier": "match",
            "view": None,
            "orientation": None,
            "distance": 0,
            "threshold": 0,
            "snapshot": snapshot.digest,
        }
    ]


def test_all_that_counts_is_named_and_the_decider_first(snapshot: Snapshot) -> None:
    given = answer(snapshot, url="https://example.net/allowed.jpg", sha256=SHA)
    assert given["outcome"] == "denied"
    assert [(reason["owner"], reason["selector"]) for reason in given["reasons"]] == [
        ("dan", "sha256"),
        ("bob", "url"),
        ("bob", "domain"),
    ]


@pytest.mark.parametrize(
    ("url", "error"),
    [
        (None, "null"),
        ("", "empty"),
        ("javascript:alert(1)", "scheme"),
        ("data:image/png;base64,AAAA", "scheme"),
        ("https://exa mple/", "host"),
        ("https://example.org:99999/", "port"),
        ("https://example.org/" + "a" * 1_000_000, "too_long"),
        ("https://example.org/\ud800", "encoding"),
    ],
)
def test_what_cannot_be_judged_is_an_error_and_says_why(
    snapshot: Snapshot, url: str | None, error: str
) -> None:
    given = answer(snapshot, url=url)
    assert (given["outcome"], given["error"], given["reasons"]) == ("error", error, [])


def test_a_broken_url_is_denied_by_what_else_is_known(snapshot: Snapshot) -> None:
    assert answer(snapshot, url="javascript:1", sha256=SHA)["outcome"] == "denied"
    assert answer(snapshot, url="javascript:1", sha256="00" * 32)["outcome"] == "error"


@pytest.mark.parametrize("digest", ["", "ab", "zz" * 32, SHA + "00", "é" * 32])
def test_a_malformed_digest_is_an_error(snapshot: Snapshot, digest: str) -> None:
    given = answer(snapshot, sha256=digest, url="https://example.org/b.jpg")
    assert (given["outcome"], given["error"]) == ("error", "digest")
    assert answer(snapshot, sha256=digest, url="https://example.org/a.jpg")["outcome"] == "denied"


def test_a_null_url_in_a_data_set_is_an_error_in_spite_of_its_digest(snapshot: Snapshot) -> None:
    items = Items(2, url=pa.array([None, "https://example.org/b"]), sha256=pa.array(["00" * 32, None]))
    assert snapshot.judge(items, TRAIN).outcome.tolist() == [Outcome.ERROR, Outcome.UNRESERVED]


def test_items_without_urls_are_judged_by_digest_or_caption(snapshot: Snapshot) -> None:
    items = Items(
        4,
        sha256=pa.array([SHA, "00" * 32, None, None]),
        text=pa.array([None, None, "no one", None]),
    )
    wanted = [Outcome.DENIED, Outcome.UNRESERVED, Outcome.UNRESERVED, Outcome.ERROR]
    assert snapshot.judge(items, TRAIN).outcome.tolist() == wanted


def test_the_use_decides_which_claims_speak(snapshot: Snapshot) -> None:
    assert answer(snapshot, md5=MD5)["outcome"] == "unreserved"
    assert answer(snapshot, Question(Use.SEARCH), md5=MD5)["outcome"] == "denied"
    assert answer(snapshot, Question(Use.AI_TRAIN_GENERATIVE), sha256=SHA)["outcome"] == "denied"
    assert answer(snapshot, Question(Use.SEARCH), sha256=SHA)["outcome"] == "unreserved"


def test_the_time_decides_which_claims_are_active(snapshot: Snapshot) -> None:
    url = "https://example.org/later.jpg"
    before, on_it = datetime(2029, 12, 31, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)
    assert answer(snapshot, Question(Use.TDM, before), url=url)["outcome"] == "unreserved"
    given = answer(snapshot, Question(Use.TDM, on_it), url=url)
    assert (given["outcome"], given["reasons"][0]["valid_from"]) == ("denied", "2030-01-01T00:00:00+00:00")


def test_the_least_grade_decides_which_claims_are_heard(snapshot: Snapshot) -> None:
    asked = Question(Use.TDM, min_grade=Grade.DOMAIN_PROVEN)
    assert answer(snapshot, asked, url="https://example.org/a.jpg")["outcome"] == "unreserved"
    reason = answer(snapshot, asked, url="https://example.org/proven.jpg")["reasons"][0]
    assert (reason["grade"], reason["ref"]) == (2, "work-7")


def test_names_flag_remove_or_are_ignored(snapshot: Snapshot) -> None:
    item: dict[str, Any] = {"url": "https://example.org/b.jpg", "text": "A portrait of GRETA GARBO, 1931"}
    flagged = answer(snapshot, **item)
    assert (flagged["outcome"], flagged["reasons"]) == ("unreserved", [])
    assert [(flag["owner"], flag["matched"]) for flag in flagged["flags"]] == [("eve", "greta garbo")]
    removed = answer(snapshot, Question(Use.TDM, names="remove"), **item)
    assert (removed["outcome"], removed["flags"], removed["reasons"][0]["how"]) == ("denied", [], "name")
    ignored = answer(snapshot, Question(Use.TDM, names="ignore"), **item)
    assert (ignored["outcome"], ignored["flags"], ignored["reasons"]) == ("unreserved", [], [])


def test_batches_are_joined_without_a_seam(snapshot: Snapshot) -> None:
    urls = [f"https://example.org/{number}.jpg" for number in range(40_000)]
    hits = {
        5: "https://example.org/a.jpg",
        16_384: "https://cdn.example.net/x",
        39_999: "https://example.com/gallery",
    }
    for row, url in hits.items():
        urls[row] = url
    items = Items(len(urls), url=pa.chunked_array([urls[:100], urls[100:]]))
    verdicts = snapshot.judge(items, TRAIN)
    assert np.flatnonzero(verdicts.outcome).tolist() == list(hits)
    assert verdicts.matches.row.tolist() == list(hits)
    assert verdicts.kind[list(hits)].tolist() == [SelectorKind.URL, SelectorKind.DOMAIN, SelectorKind.PREFIX]
    assert verdicts.winner[list(hits)].tolist() == [0, 1, 2]
    assert [snapshot.explain(items, verdicts, row)[0]["owner"] for row in hits] == ["ann", "bob", "cy"]


def test_captions_that_are_not_utf8_are_explained_all_the_same(snapshot: Snapshot) -> None:
    items = Items(
        1, text=pa.array([b"\xff\xfe Greta Garbo \xff"]).view(pa.binary()).cast(pa.string(), safe=False)
    )
    verdicts = snapshot.judge(items, TRAIN)
    assert verdicts.flagged.tolist() == [True]
    assert snapshot.explain(items, verdicts, 0)[0]["matched"] == "greta garbo"


def test_no_items_no_answers(snapshot: Snapshot) -> None:
    assert snapshot.check([], TRAIN) == []
    assert len(snapshot.judge(Items(0, url=pa.array([], pa.string())), TRAIN).outcome) == 0


@pytest.mark.parametrize("item", [{"uri": "https://example.org/"}, {"url": 5}, {"url": ["x"]}])
def test_an_item_that_makes_no_sense_is_named(snapshot: Snapshot, item: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="item 1") as caught:
        snapshot.check([{"url": "https://example.org/"}, item], TRAIN)
    assert caught.value.code == "bad_item"


@pytest.mark.parametrize("name", ["url", "text", "sha256", "md5"])
def test_columns_must_be_text(snapshot: Snapshot, name: str) -> None:
    columns: dict[str, Any] = {name: pa.array([[1]])}
    with pytest.raises(BadInput, match=name) as caught:
        snapshot.judge(Items(1, **columns), TRAIN)
    assert caught.value.code == "bad_column"


@pytest.mark.parametrize(
    "convert",
    [
        lambda column: column,
        lambda column: column.cast(pa.large_string()),
        lambda column: column.cast(pa.string_view()),
        lambda column: column.cast(pa.binary()),
        lambda column: column.dictionary_encode(),
        lambda column: pa.concat_arrays([pa.array(["x", None]), column, column]).slice(2, len(column)),
        lambda column: pa.chunked_array([column.slice(0, 1), column.slice(1, 0), column.slice(1)]),
        lambda column: pa.chunked_array([column.slice(0, 2), column.slice(2)]).dictionary_encode(),
    ],
)
def test_every_layout_of_text_gives_the_same_answers(
    snapshot: Snapshot, convert: Callable[[Any], Any]
) -> None:
    url = ["https://example.org/a.jpg", None, "https://cdn.example.net/", "https://else.example/x"]
    columns = {
        "url": url,
        "text": ["greta garbo", "greta garbo", None, "Gréta  GARBO!"],
        "sha256": [None, SHA, "xx", None],
        "md5": [None, None, MD5, MD5],
    }
    items = Items(4, **{name: convert(pa.array(values)) for name, values in columns.items()})
    verdicts = snapshot.judge(items, TRAIN)
    assert verdicts.outcome.tolist() == [Outcome.DENIED, Outcome.DENIED, Outcome.DENIED, Outcome.UNRESERVED]
    assert verdicts.error.tolist() == [0, 1, 32, 0]
    assert verdicts.flagged.tolist() == [True, True, False, True]
    told = [[reason["matched"] for reason in snapshot.explain(items, verdicts, row)] for row in range(4)]
    assert told == [
        ["example.org/a.jpg", "greta garbo"],
        [SHA, "greta garbo"],
        ["example.net"],
        ["greta garbo"],
    ]


def test_a_question_is_about_one_use_and_a_certain_time() -> None:
    with pytest.raises(UsageError, match="one use"):
        Question(Use.TDM | Use.SEARCH)
    with pytest.raises(UsageError, match="time zone"):
        Question(Use.TDM, datetime(2030, 1, 1))


def test_a_file_is_looked_up_by_its_own_digest_beside_the_one_that_is_stated(snapshot: Snapshot) -> None:
    other = "00" * 32
    items = Items(2, sha256=pa.array([other, SHA]), own_sha256=pa.array([SHA, other]), own_md5=pa.nulls(2))
    assert snapshot.judge(items, TRAIN).outcome.tolist() == [Outcome.DENIED] * 2


def test_the_owner_of_the_items_allows_what_he_claims(snapshot: Snapshot) -> None:
    urls = pa.array(["https://example.net/b.jpg", "https://example.org/a.jpg", "https://none.example/"])
    items = Items(3, url=urls, sha256=pa.array([None, None, SHA]))

    def outcomes(own: str) -> list[int]:
        found: list[int] = snapshot.judge(items, Question(Use.AI_TRAIN, own=own)).outcome.tolist()
        return found

    assert outcomes("bob") == [Outcome.ALLOWED, Outcome.DENIED, Outcome.DENIED]
    assert outcomes("dan") == [Outcome.DENIED, Outcome.DENIED, Outcome.ALLOWED]
    assert outcomes("nobody") == [Outcome.DENIED] * 3
