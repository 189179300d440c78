"""Sending claim exchange files through HTTP."""

import hashlib
import json
import uuid
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from pytest_django import Settings

from registry import storage
from registry.models import Import, ImportRejection
from tests.server.api_support import Answer, Caller, caller, problem, quiet_keys

__all__ = ["quiet_keys"]

pytestmark = pytest.mark.django_db
ROWS = b"".join(
    json.dumps(
        {"selector": "url", "value": f"https://a.example/{n}", "decision": "deny", "uses": "tdm"}
    ).encode()
    + b"\n"
    for n in range(3)
)


@pytest.fixture
def platform() -> Caller:
    return caller(kind="platform", name="A platform")


def send(
    who: Caller, content: bytes = ROWS, name: str = "claims.jsonl", key: str = "", **fields: str
) -> Answer:
    headers = who.headers({"Idempotency-Key": key} if key else {})
    form: dict[str, Any] = {"file": SimpleUploadedFile(name, content), **fields}
    return who.client.post("/api/v1/imports", form, headers=headers)


def test_a_file_is_taken_and_kept(platform: Caller) -> None:
    answer = send(platform, sha256=hashlib.sha256(ROWS).hexdigest())
    assert answer.status_code == 202
    shown = answer.json()
    assert (shown["filename"], shown["format"], shown["size_bytes"]) == ("claims.jsonl", "jsonl", len(ROWS))
    assert shown["sha256"] == hashlib.sha256(ROWS).hexdigest()
    assert platform.client.get(answer["Location"], headers=platform.headers()).json()["id"] == shown["id"]
    with storage.open(Import.objects.get().object_key) as kept:
        assert kept.read() == ROWS


def test_imports_are_listed(platform: Caller) -> None:
    sent = [send(platform).json()["id"] for _ in range(3)]
    send(caller(kind="platform", name="Another"))
    page = platform.get("imports?limit=2").json()
    assert [one["id"] for one in page["results"]] == [sent[2], sent[1]]
    rest = platform.get(page["next"].partition("/api/v1/")[2]).json()
    assert [one["id"] for one in rest["results"]] == [sent[0]]
    assert rest["next"] is None


def test_rejections_are_paged_in_the_order_of_rows(platform: Caller) -> None:
    import_id = send(platform).json()["id"]
    begun = Import.objects.get(public_id=import_id)
    ImportRejection.objects.bulk_create(
        ImportRejection(source_import=begun, row=row, code="host", detail="no host", excerpt="x")
        for row in range(1, 6)
    )
    first = platform.get(f"imports/{import_id}/rejections?limit=3").json()
    rest = platform.get(first["next"].partition("/api/v1/")[2]).json()
    assert [one["row"] for one in first["results"] + rest["results"]] == [1, 2, 3, 4, 5]
    assert first["results"][0] == {"row": 1, "code": "host", "detail": "no host", "excerpt": "x"}
    problem(platform.get(f"imports/{import_id}/rejections?cursor=x"), 400, "bad_cursor")


def test_anothers_import_looks_like_none(platform: Caller) -> None:
    theirs = send(caller(kind="platform", name="Another")).json()["id"]
    for import_id in (theirs, uuid.uuid4()):
        problem(platform.get(f"imports/{import_id}"), 404, "not_found")
        problem(platform.get(f"imports/{import_id}/rejections"), 404, "not_found")


@pytest.mark.parametrize(
    ("content", "name", "fields", "code"),
    [
        (b"", "claims.jsonl", {}, "empty_file"),
        (ROWS, "claims.exe", {}, "unknown_format"),
        (ROWS, "claims.jsonl", {"sha256": "0" * 64}, "digest_differs"),
    ],
)
def test_a_file_of_no_use_is_refused(
    platform: Caller, content: bytes, name: str, fields: dict[str, str], code: str
) -> None:
    problem(send(platform, content, name, **fields), 422, code)
    assert not Import.objects.exists()


def test_the_file_must_be_there(platform: Caller) -> None:
    answer = platform.client.post("/api/v1/imports", {"other": "x"}, headers=platform.headers())
    problem(answer, 400, "file_missing")


def test_a_form_that_is_cut_short_is_refused(platform: Caller) -> None:
    answer = platform.client.post(
        "/api/v1/imports", b"--x\r\nContent-Disposition", "multipart/form-data", headers=platform.headers()
    )
    problem(answer, 400, "parse_error")


def test_a_file_over_the_limit_is_refused_before_it_is_read(platform: Caller, settings: Settings) -> None:
    settings.OPTOUT_MAX_UPLOAD = 10
    problem(send(platform), 413, "body_too_large")
    problem(send(platform, b"x" * 2_000_000), 413, "body_too_large")
    assert not Import.objects.exists()


def test_a_repeated_upload_is_one_import(platform: Caller) -> None:
    first, again = send(platform, key="k"), send(platform, key="k")
    assert first.json()["id"] == again.json()["id"]
    assert again["Idempotency-Replayed"] == "true"
    assert Import.objects.count() == 1
    problem(send(platform, ROWS + b"\n", key="k"), 422, "idempotency_key_reused")
