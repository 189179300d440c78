"""What `check` answers, and what it refuses."""

import hashlib
import io
import json
from typing import Any

import pyarrow as pa
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from registry import live
from tests.server.api_support import DENY_PAGE, Answer, Caller, caller, problem, quiet_keys

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db
ARROW = "application/vnd.apache.arrow.stream"
DIGEST = hashlib.sha256(b"a picture").hexdigest()


@pytest.fixture(autouse=True)
def _always_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 0.0)
    live.reset()


@pytest.fixture
def gallery() -> Caller:
    return caller(name="Gallery")


def register(who: Caller, kind: str, value: str, **change: Any) -> str:
    body = {**DENY_PAGE, "selectors": [{"kind": kind, "value": value}], **change}
    answer = who.post("claims", body)
    assert answer.status_code == 201, answer.content
    claim_id: str = answer.json()["id"]
    return claim_id


def ask(who: Caller, body: Any) -> dict[str, Any]:
    answer = who.post("check", body)
    assert answer.status_code == 200, answer.content
    document: dict[str, Any] = answer.json()
    return document


def outcomes(who: Caller, body: Any) -> list[str]:
    return [one["outcome"] for one in ask(who, body)["answers"]]


# --- Answers


def test_what_nobody_claimed_is_unreserved_not_allowed(gallery: Caller) -> None:
    document = ask(gallery, {"urls": ["https://free.example/a.jpg"]})
    assert document["answers"] == [{"outcome": "unreserved", "flags": [], "reasons": []}]
    assert document["counts"] == {"unreserved": 1}
    assert document["stale"] is False
    assert document["as_of"]
    assert len(document["snapshot"]) == 64


def test_a_denied_url_names_its_reason(gallery: Caller) -> None:
    claim_id = register(gallery, "url", "https://gallery.example/works/1.jpg", ref="no. 1")
    document = ask(gallery, {"urls": ["http://www.gallery.example/works/1.jpg?utm_source=x"]})
    (answer,) = document["answers"]
    assert answer["outcome"] == "denied"
    (reason,) = answer["reasons"]
    assert reason["claim"] == claim_id
    assert (reason["selector"], reason["how"], reason["decision"]) == ("url", "canonical", "deny")
    assert reason["matched"] == "gallery.example/works/1.jpg"
    assert (reason["owner"], reason["ref"], reason["grade"]) == ("gallery", "no. 1", 0)
    assert (reason["distance"], reason["threshold"]) == (0, 0)
    assert reason["snapshot"] == document["snapshot"]


def test_mixed_items_are_answered_in_order(gallery: Caller) -> None:
    register(gallery, "domain", "gallery.example")
    register(gallery, "prefix", "https://portal.example/~ada")
    register(gallery, "sha256", DIGEST)
    register(gallery, "url", "https://shop.example/p/cat.jpg")
    items = [
        {"url": "https://cdn.gallery.example/x.png"},
        {"url": "https://portal.example/~ada/1"},
        {"url": "https://portal.example/~adam"},
        {"sha256": DIGEST.upper()},
        {"md5": "0" * 32},
        {"url": "https://i0.wp.com/shop.example/p/cat.jpg?w=300"},
        {"text": "a caption of no one"},
        {"url": None, "sha256": DIGEST},
    ]
    assert outcomes(gallery, {"items": items}) == [
        "denied",
        "denied",
        "unreserved",
        "denied",
        "unreserved",
        "denied",
        "unreserved",
        "denied",
    ]


def test_names_are_flags_unless_asked_for_more(gallery: Caller) -> None:
    register(gallery, "name", "Ada Löwe")
    item = {"text": "Oil painting in the style of ada lowe, detailed"}
    flagged = ask(gallery, {"items": [item]})["answers"][0]
    assert (flagged["outcome"], flagged["reasons"]) == ("unreserved", [])
    assert flagged["flags"][0]["matched"] == "ada lowe"
    removed = ask(gallery, {"items": [item], "names": "remove"})["answers"][0]
    assert (removed["outcome"], removed["flags"]) == ("denied", [])
    assert ask(gallery, {"items": [item], "names": "ignore"})["answers"][0]["flags"] == []


def test_use_grade_and_time_are_honoured(gallery: Caller) -> None:
    register(gallery, "url", "https://a.example/1", uses=["ai-train"], valid_from="2026-01-01T00:00:00Z")
    urls = {"urls": ["https://a.example/1"]}
    assert outcomes(gallery, urls) == ["denied"]
    assert outcomes(gallery, {**urls, "use": "ai-train"}) == ["denied"]
    assert outcomes(gallery, {**urls, "use": "search"}) == ["unreserved"]
    assert outcomes(gallery, {**urls, "min_grade": 1}) == ["unreserved"]
    assert outcomes(gallery, {**urls, "at": "2025-12-31T00:00:00Z"}) == ["unreserved"]


def test_terms_and_permission_are_told_apart(gallery: Caller) -> None:
    register(gallery, "url", "https://a.example/1", decision="terms", terms_url="https://a.example/terms")
    register(gallery, "url", "https://a.example/2", decision="allow")
    document = ask(gallery, {"urls": ["https://a.example/1", "https://a.example/2"]})
    assert [one["outcome"] for one in document["answers"]] == ["terms", "allowed"]
    assert document["answers"][0]["reasons"][0]["terms_url"] == "https://a.example/terms"


def test_a_withdrawn_claim_no_longer_counts(gallery: Caller) -> None:
    claim_id = register(gallery, "url", "https://a.example/1")
    assert outcomes(gallery, {"urls": ["https://a.example/1"]}) == ["denied"]
    gallery.post(f"claims/{claim_id}/withdraw")
    assert outcomes(gallery, {"urls": ["https://a.example/1"]}) == ["unreserved"]


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ({"url": ""}, "empty"),
        ({"url": "javascript:alert(1)"}, "scheme"),
        ({"url": "data:image/png;base64,AAAA"}, "scheme"),
        ({"url": "https://"}, "host"),
        ({"url": "https://a.example:99999/"}, "port"),
        ({"url": "https://a.example/" + "x" * 1_000_000}, "too_long"),
        ({"url": None}, "null"),
        ({"sha256": "xyz"}, "digest"),
        ({"md5": "0" * 31}, "digest"),
    ],
)
def test_an_item_that_cannot_be_judged_is_an_error_of_its_own(
    gallery: Caller, item: dict[str, Any], code: str
) -> None:
    free = {"url": "https://free.example/"}
    answers = ask(gallery, {"items": [free, item, free]})["answers"]
    assert [one["outcome"] for one in answers] == ["unreserved", "error", "unreserved"]
    assert answers[1]["error"]["code"] == code
    assert answers[1]["error"]["detail"]


def test_a_denial_stands_beside_an_error(gallery: Caller) -> None:
    register(gallery, "sha256", DIGEST)
    (answer,) = ask(gallery, {"items": [{"url": "mailto:a@b.example", "sha256": DIGEST}]})["answers"]
    assert answer["outcome"] == "denied"
    assert answer["error"]["code"] == "scheme"


# --- Refusals


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "items"),
        ({"urls": [], "items": []}, "items"),
        ({"urls": "https://a.example"}, "urls"),
        ({"items": {}}, "items"),
        ({"urls": [], "colour": 1}, "body"),
        ([], "body"),
        ('"text"', "body"),
        (None, "body"),
        ({"urls": [], "use": "everything"}, "use"),
        ({"urls": [], "use": 7}, "use"),
        ({"urls": [], "min_grade": 9}, "min_grade"),
        ({"urls": [], "min_grade": "high"}, "min_grade"),
        ({"urls": [], "names": "drop"}, "names"),
        ({"urls": [], "names": []}, "names"),
        ({"urls": [], "at": "2026-01-01T00:00:00"}, "at"),
        ({"urls": [], "at": 5}, "at"),
        ({"urls": [], "at": "2026-99-01T00:00:00Z"}, "at"),
    ],
)
def test_a_body_of_another_form_is_refused(gallery: Caller, body: Any, field: str) -> None:
    document = problem(gallery.post("check", body), 400, "invalid")
    assert list(document["fields"]) == [field]


@pytest.mark.parametrize("bad", [7, {}, {"colour": "red"}, {"url": 7}, {"url": ["x"]}, None, "x"])
def test_a_bad_item_is_named(gallery: Caller, bad: Any) -> None:
    items = [{"url": "https://a.example/"}, {"url": "https://a.example/"}, bad]
    document = problem(gallery.post("check", {"items": items}), 400, "invalid_item")
    assert document["item"] == 2
    assert list(document["fields"]) == ["items.2"]


def test_a_bad_url_in_a_list_is_named(gallery: Caller) -> None:
    document = problem(gallery.post("check", {"urls": ["https://a.example/", 5]}), 400, "invalid_item")
    assert list(document["fields"]) == ["urls.1"]


def test_too_many_items_are_refused_as_a_whole(gallery: Caller) -> None:
    urls = ["https://a.example/"] * 10_001
    assert len(ask(gallery, {"urls": urls[:-1]})["answers"]) == 10_000
    assert problem(gallery.post("check", {"urls": urls}), 413, "too_many_items")["limit"] == 10_000


def test_callers_without_a_key_ask_about_a_hundred(gallery: Caller) -> None:
    urls = ["https://a.example/"] * 101
    assert len(ask(Caller(), {"urls": urls[:-1]})["answers"]) == 100
    assert problem(Caller().post("check", {"urls": urls}), 413, "too_many_items")["limit"] == 100


def test_a_body_over_the_limit_is_refused(gallery: Caller, settings: Settings) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    document = problem(
        gallery.post("check", {"urls": ["https://a.example/" + "x" * 1000]}), 413, "body_too_large"
    )
    assert document["limit"] == 1000


def test_unclaimed_items_ask_the_database_nothing(gallery: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "POLL_SECONDS", 60.0)
    body = {"urls": [f"https://free.example/{n}" for n in range(1000)]}
    ask(gallery, body)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        ask(gallery, body)
    assert len(queries) == 0


# --- Arrow


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return sink.getvalue()


def ask_arrow(who: Caller, body: bytes, query: str = "", accept: str = ARROW) -> Answer:
    headers = who.headers({"Accept": accept})
    return who.client.post(f"/api/v1/check{query}", body, ARROW, headers=headers)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_an_arrow_stream_is_answered_by_one(gallery: Caller, kind: pa.DataType) -> None:
    claim_id = register(gallery, "domain", "gallery.example")
    urls = ["https://gallery.example/1", "https://free.example/", "ftp://x", None]
    answer = ask_arrow(gallery, stream(pa.table({"id": range(4), "url": pa.array(urls).cast(kind)})))
    assert answer["Content-Type"] == ARROW
    table = pa.ipc.open_stream(answer.content).read_all()
    assert table["outcome"].to_pylist() == ["denied", "unreserved", "error", "error"]
    assert table["error"].to_pylist() == [None, None, "scheme", "null"]
    assert table["reason"].to_pylist() == ["domain", None, None, None]
    assert table["claim"].to_pylist() == [claim_id, None, None, None]
    assert table["grade"].to_pylist() == [0, None, None, None]
    assert table.schema.metadata[b"use"] == b"ai-train-generative"
    assert table.schema.metadata[b"stale"] == b"false"


def test_an_arrow_stream_may_be_answered_in_json(gallery: Caller) -> None:
    register(gallery, "name", "Ada Lowe")
    table = pa.table({"text": ["by Ada Lowe", None], "sha256": [None, DIGEST]})
    answer = ask_arrow(gallery, stream(table), "?names=remove&use=tdm", "application/json")
    document = json.loads(answer.content)
    assert [one["outcome"] for one in document["answers"]] == ["denied", "unreserved"]
    assert document["use"] == "tdm"


def test_arrow_and_json_agree(gallery: Caller) -> None:
    register(gallery, "prefix", "https://a.example/x")
    urls = ["https://a.example/x/1", "https://a.example/y", "", "https://b.example/", "https://a.example/x"]
    table = pa.ipc.open_stream(ask_arrow(gallery, stream(pa.table({"url": urls}))).content).read_all()
    assert table["outcome"].to_pylist() == outcomes(gallery, {"urls": urls})


@pytest.mark.parametrize("codec", ["zstd", "lz4"])
def test_a_compressed_stream_is_refused(gallery: Caller, codec: str) -> None:
    body = stream(pa.table({"url": ["https://a.example/"] * 100}), compression=codec)
    problem(ask_arrow(gallery, body), 400, "compressed_arrow")


def test_a_stream_without_columns_of_use_is_refused(gallery: Caller) -> None:
    problem(ask_arrow(gallery, stream(pa.table({"address": ["x"]}))), 400, "malformed_arrow")
    problem(ask_arrow(gallery, stream(pa.table({"url": [1, 2]}))), 400, "malformed_arrow")
    twice = pa.Table.from_arrays([pa.array(["x"])] * 2, ["url", "url"])
    problem(ask_arrow(gallery, stream(twice)), 400, "malformed_arrow")


def test_a_stream_that_is_none_is_refused(gallery: Caller) -> None:
    whole = stream(pa.table({"url": ["https://a.example/"] * 100}))
    for cut in [b"junk" * 10, whole[:40], whole[: len(whole) // 2], b"\xff" * 100]:
        problem(ask_arrow(gallery, cut), 400, "malformed_arrow")


def test_damaged_streams_never_break_the_server(gallery: Caller) -> None:
    whole = stream(pa.table({"url": pa.array(["https://a.example/", "b"] * 20).dictionary_encode()}))
    for at in range(0, len(whole), 7):
        damaged = whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :]
        assert ask_arrow(gallery, damaged).status_code in {200, 400, 413}


def test_too_many_rows_are_refused(gallery: Caller) -> None:
    body = stream(pa.table({"url": ["https://a.example/"] * 101}))
    assert problem(ask_arrow(Caller(), body), 413, "too_many_items")["limit"] == 100
