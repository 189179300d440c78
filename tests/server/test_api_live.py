"""The API as it runs: gunicorn, an unmodified client, and parts that go away and come back."""

import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.server.api_stack import BUILD, Stack, running

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    # Not one of pytest's folders: PostgreSQL's own account has to pass.
    with tempfile.TemporaryDirectory(prefix="optout-stack-") as folder, running(Path(folder)) as stack:
        yield stack


@pytest.fixture
def gallery(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.gallery) as client:
        yield client


@pytest.fixture
def pipeline(stack: Stack) -> Iterator[httpx.Client]:
    with stack.client(stack.pipeline) as client:
        yield client


def deny(client: httpx.Client, kind: str, value: str) -> str:
    body = {"decision": "deny", "uses": ["tdm"], "selectors": [{"kind": kind, "value": value}]}
    answer = client.post("claims", json=body)
    assert answer.status_code == 201, answer.text
    claim_id: str = answer.json()["id"]
    return claim_id


def outcome(client: httpx.Client, url: str) -> str:
    return str(check(client, url)["answers"][0]["outcome"])


def check(client: httpx.Client, url: str) -> dict[str, Any]:
    answer = client.post("check", json={"urls": [url]})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


def comes_true(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_new_claim_is_answered_within_five_seconds(gallery: httpx.Client, pipeline: httpx.Client) -> None:
    url = "https://new.example/a.jpg"
    assert outcome(pipeline, url) == "unreserved"
    claim_id = deny(gallery, "url", url)
    assert comes_true(lambda: outcome(pipeline, url) == "denied", 5)
    assert gallery.post(f"claims/{claim_id}/withdraw").status_code == 200
    assert comes_true(lambda: outcome(pipeline, url) == "unreserved", 5)


def test_the_unmodified_datadiligence_package_is_answered(
    stack: Stack, gallery: httpx.Client, pipeline: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPAWNING_OPTS_KEY", stack.pipeline)
    import datadiligence
    from datadiligence.rules import SpawningAPI

    monkeypatch.setattr(SpawningAPI, "SPAWNING_AI_API_URL", f"{stack.url}/api/v2/query/urls/")
    datadiligence.load_defaults()
    deny(gallery, "domain", "opted-out.example")
    assert comes_true(lambda: outcome(pipeline, "https://opted-out.example/") == "denied", 5)
    urls = [f"https://{'opted-out' if n % 3 == 0 else 'free'}.example/{n}.jpg" for n in range(25_000)]
    urls[1] = urls[4] = ""
    kept = [url for n, url in enumerate(urls) if n % 3 and url]
    assert datadiligence.filter_allowed(urls=urls) == kept
    assert datadiligence.is_allowed(urls=urls) == [bool(n % 3 and url) for n, url in enumerate(urls)]


def test_snapshot_files_are_fetched_and_verified(stack: Stack, gallery: httpx.Client, tmp_path: Path) -> None:
    from optout.engine import Items, Question
    from optout.keys import load_public
    from optout.snapshot import open_snapshot, verify_snapshot
    from optout.words import Outcome, Use

    deny(gallery, "url", "https://kept.example/a.jpg")
    stack.shell(BUILD)
    latest = gallery.get("snapshots/latest").json()
    files = {one["path"]: one["url"] for one in latest["files"]}
    base = f"{stack.url}/api/v1/snapshots/{latest['digest']}/files/"
    for path in [*files, "manifest.json", "manifest.dsse.json"]:
        target = tmp_path / "snapshot" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(gallery.get(files.get(path, base + path)).raise_for_status().content)
    trust = [load_public(Path(stack.environment["OPTOUT_DATA"]) / "keys" / "public.pem")]
    verify_snapshot(tmp_path / "snapshot", trust=trust)
    import pyarrow as pa

    items = Items(length=1, url=pa.array(["https://kept.example/a.jpg"]))
    verdicts = open_snapshot(tmp_path / "snapshot", trust=trust).judge(items, Question(use=Use.AI_TRAIN))
    assert verdicts.outcome.tolist() == [Outcome.DENIED]
    _check_ranges(gallery, latest["files"][0])
    for odd in ("../current.json", "nothing.arrow", "manifest.json/", "%2e%2e/current.json"):
        assert gallery.get(base + odd).status_code == 404


def _check_ranges(client: httpx.Client, file: dict[str, Any]) -> None:
    whole = client.get(file["url"])
    assert whole.headers["ETag"] == f'"{file["sha256"]}"'
    assert "immutable" in whole.headers["Cache-Control"]
    size = file["size"]
    assert len(whole.content) == size
    for asked, start, end in [
        ("0-9", 0, 10),
        ("5-", 5, size),
        ("-7", size - 7, size),
        (f"3-{size + 9}", 3, size),
    ]:
        part = client.get(file["url"], headers={"Range": f"bytes={asked}"})
        assert part.status_code == 206
        assert part.content == whole.content[start:end]
        assert part.headers["Content-Range"] == f"bytes {start}-{end - 1}/{size}"
    beyond = client.get(file["url"], headers={"Range": f"bytes={size}-"})
    assert (beyond.status_code, beyond.headers["Content-Range"]) == (416, f"bytes */{size}")
    assert beyond.json()["code"] == "range_not_satisfiable"
    assert client.get(file["url"], headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    changed = {"Range": "bytes=0-9", "If-Range": '"another"'}
    assert client.get(file["url"], headers=changed).status_code == 200


def test_checks_go_on_while_postgresql_is_away(
    stack: Stack, gallery: httpx.Client, pipeline: httpx.Client
) -> None:
    deny(gallery, "url", "https://known.example/a.jpg")
    assert comes_true(lambda: outcome(pipeline, "https://known.example/a.jpg") == "denied", 5)
    stack.postgres.stop()
    try:
        assert comes_true(lambda: check(pipeline, "https://free.example/")["stale"] is True, 10)
        document = check(pipeline, "https://known.example/a.jpg")
        assert (document["answers"][0]["outcome"], document["stale"]) == ("denied", True)
        assert outcome(pipeline, "https://free.example/") == "unreserved"
        refused = gallery.get("claims")
        assert refused.status_code == 503
        assert refused.json()["code"] == "database_unavailable"
        assert refused.headers["Retry-After"]
        new = {
            "decision": "deny",
            "uses": ["tdm"],
            "selectors": [{"kind": "domain", "value": "lost.example"}],
        }
        lost = gallery.post("claims", json=new, headers={"Idempotency-Key": "outage"})
        assert (lost.status_code, lost.json()["code"]) == (503, "database_unavailable")
        assert lost.headers["Content-Type"] == "application/problem+json"
        assert lost.headers["Retry-After"]
        unknown = httpx.get(f"{stack.url}/api/v1/keys/me", headers={"Authorization": "Bearer opt_abcdefgh_x"})
        assert unknown.status_code == 503
    finally:
        stack.postgres.start()
    assert comes_true(lambda: check(pipeline, "https://free.example/")["stale"] is False, 15)
    deny(gallery, "url", "https://after.example/a.jpg")
    assert comes_true(lambda: outcome(pipeline, "https://after.example/a.jpg") == "denied", 5)
    # What could not be recorded then can be sent again under the same key.
    assert gallery.post("claims", json=new, headers={"Idempotency-Key": "outage"}).status_code == 201


def test_the_api_goes_on_while_valkey_is_away(
    stack: Stack, gallery: httpx.Client, pipeline: httpx.Client
) -> None:
    stack.valkey.stop()
    try:
        assert outcome(pipeline, "https://free.example/") == "unreserved"
        deny(gallery, "url", "https://meanwhile.example/a.jpg")
        assert comes_true(lambda: outcome(pipeline, "https://meanwhile.example/a.jpg") == "denied", 5)
    finally:
        stack.valkey.start()
    assert outcome(pipeline, "https://free.example/") == "unreserved"
    deny(gallery, "url", "https://afterwards.example/a.jpg")
    assert comes_true(lambda: outcome(pipeline, "https://afterwards.example/a.jpg") == "denied", 5)


def test_the_docs_page_and_its_assets_come_from_here(stack: Stack) -> None:
    with httpx.Client(base_url=stack.url, trust_env=False) as client:
        page = client.get("/api/docs/")
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assets = [part.split('"')[0] for part in page.text.split('="/static/')[1:]]
        assert len(assets) == 5
        for asset in assets:
            assert client.get(f"/static/{asset}").status_code == 200
        assert client.get("/api/v1/openapi.json").json()["openapi"] == "3.1.0"


def test_a_large_body_is_refused_over_http(pipeline: httpx.Client) -> None:
    answer = pipeline.post("check", json=[" " * (17 * 1024 * 1024)])
    assert answer.status_code == 413
    assert answer.json()["code"] == "body_too_large"
