"""Fetching the pictures at claimed addresses: only from the open web, as robots.txt allows, within limits."""

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.test import TestCase
from pytest_django import Settings

from optout.hashes import hash_picture
from optout.words import Decision, SelectorKind, Use
from registry import storage
from registry.models import Claim, Selector, Upload
from registry.services.fetching import MOST_ATTEMPTS, fetch_upload
from registry.services.hashing import hash_upload
from registry.services.pictures import claim_with_pictures
from registry.web import FetchLimits, Refused, Unreachable, fetch, may_fetch, vet_address
from registry.web.addresses import is_public
from tests.server.parties import person
from tests.server.pictures import jpeg
from tests.server.website import Page, Site, site
from tests.server.working import wait_until, worker

LIMITS = FetchLimits(most_bytes=1_000_000, seconds=5.0)


@pytest.fixture
def web(settings: Settings) -> Iterator[Site]:
    with site({}) as served:
        settings.OPTOUT_FETCH_ALLOW = [served.address]
        yield served


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1", "192.0.2.1", "198.18.0.1", "192.88.99.1",
        "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:0:10.0.0.1", "fe80::1",
        "fe80::1%eth0", "fc00::1", "fd12:3456::1", "fec0::1", "ff02::1", "64:ff9b::7f00:1", "64:ff9b:1::1",
        "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:db8::1", "100::1",
    ],
)  # fmt: skip
def test_an_address_that_is_not_public_is_none(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c"])
def test_the_open_web_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1/a.jpg", "not_public"),
        ("http://localhost/a.jpg", "not_public"),
        ("http://2130706433/a.jpg", "not_public"),
        ("http://0x7f.1/a.jpg", "not_public"),
        ("http://017700000001/a.jpg", "not_public"),
        ("http://[::1]/a.jpg", "not_public"),
        ("http://[::ffff:169.254.169.254]/latest/meta-data/", "not_public"),
        ("http://8.8.8.8:6379/", "not_public"),
        ("https://8.8.8.8:80/", "not_public"),
        ("http://user:pw@8.8.8.8/", "bad_address"),
        ("http://8.8.8.8/a b", "bad_address"),
        ("http://8.8.8.8/a\r\nHost: evil", "bad_address"),
        ("http://8.8.8.8:99999/", "bad_address"),
        ("ftp://8.8.8.8/a.jpg", "bad_address"),
        ("file:///etc/passwd", "bad_address"),
        ("gopher://127.0.0.1:6379/_INFO", "bad_address"),
        ("//8.8.8.8/a.jpg", "bad_address"),
        ("http:///a.jpg", "bad_address"),
        ("http://" + "a" * 9000, "bad_address"),
        ("http://[::1", "bad_address"),
        ("http://no-such-site.invalid/a.jpg", "unknown_host"),
    ],
)
def test_what_is_not_fetched_is_refused_before_any_connection(
    url: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a connection was made")

    resolve = socket.getaddrinfo

    def offline(host: str, *rest: Any, **more: Any) -> Any:
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        return resolve(host, *rest, **more)

    monkeypatch.setattr("socket.getaddrinfo", offline)
    monkeypatch.setattr("socket.create_connection", never)
    with pytest.raises(Refused) as caught:
        fetch(url, LIMITS)
    assert caught.value.code == code


def test_one_private_address_among_public_ones_is_enough_to_refuse(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 80)) for ip in ("93.184.215.14", "10.0.0.1")]
    monkeypatch.setattr("socket.getaddrinfo", lambda *_, **__: answers)
    with pytest.raises(Refused, match="not a public address"):
        vet_address("http://two.example/")


def test_a_name_that_changes_its_mind_is_asked_once(web: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    web.pages["/a.jpg"] = Page(b"picture")
    port = int(web.address.rpartition(":")[2])
    answers = [["127.0.0.1"], ["127.0.0.2"]]

    def resolve(*_: Any, **__: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, port)) for ip in answers.pop(0)]

    with monkeypatch.context() as changed:
        changed.setattr("registry.web.addresses.socket.getaddrinfo", resolve)
        target = vet_address(f"http://rebinding.example:{port}/a.jpg")
    assert (target.address, len(answers)) == ("127.0.0.1", 1)
    assert target.authority == f"rebinding.example:{port}"


def test_the_server_is_asked_politely_and_by_its_name(web: Site, settings: Settings) -> None:
    settings.OPTOUT_URL = "https://registry.example"
    web.pages["/sub/a.jpg?size=2"] = Page(b"picture", "image/png")
    answer = fetch(f"{web.url}/sub/a.jpg?size=2#part", LIMITS)
    assert (answer.status, answer.content_type, answer.body) == (200, "image/png", b"picture")
    ((_, headers),) = web.asked
    assert headers["Host"] == web.address
    assert headers["User-Agent"] == "OptoutRegistry/1.0 (+https://registry.example)"
    assert headers["Accept-Encoding"] == "identity"


def test_redirects_are_followed_and_each_is_looked_at_anew(web: Site) -> None:
    web.pages |= {
        "/a": Page(status=302, headers={"Location": "b/c"}),
        "/b/c": Page(status=308, headers={"Location": f"{web.url}/d.jpg"}),
        "/d.jpg": Page(b"picture"),
        "/in": Page(status=302, headers={"Location": "http://127.0.0.1/secret"}),
        "/meta": Page(status=301, headers={"Location": "http://169.254.169.254/latest/"}),
        "/file": Page(status=302, headers={"Location": "file:///etc/passwd"}),
        "/round": Page(status=302, headers={"Location": "/round"}),
    }
    assert fetch(f"{web.url}/a", LIMITS).url == f"{web.url}/d.jpg"
    codes = {"in": "not_public", "meta": "not_public", "file": "bad_address", "round": "too_many_redirects"}
    for path, code in codes.items():
        with pytest.raises(Refused) as caught:
            fetch(f"{web.url}/{path}", LIMITS)
        assert caught.value.code == code


def test_what_is_too_large_is_not_read_to_its_end(web: Site) -> None:
    web.pages |= {
        "/said": Page(b"x" * 2000),
        "/unsaid": Page(b"x" * 2000, headers={"Content-Length": ""}),
        "/lies": Page(b"x" * 100, headers={"Content-Length": "200"}),
        "/gzip": Page(b"x", headers={"Content-Encoding": "gzip"}),
        "/html": Page(b"<p>", "text/html"),
    }
    for path, code in {
        "said": "too_large",
        "unsaid": "too_large",
        "gzip": "encoded",
        "html": "not_an_image",
    }.items():
        with pytest.raises(Refused) as caught:
            fetch(f"{web.url}/{path}", FetchLimits(most_bytes=1000, seconds=5.0))
        assert caught.value.code == code, path
    with pytest.raises(Unreachable):
        fetch(f"{web.url}/lies", LIMITS)


def test_a_server_that_drips_is_cut_off(web: Site) -> None:
    web.pages["/drip"] = Page(b"x" * 1000, slow=0.05)
    begun = time.monotonic()
    with pytest.raises(Unreachable, match="out of time"):
        fetch(f"{web.url}/drip", FetchLimits(most_bytes=10_000, seconds=0.5))
    assert time.monotonic() - begun < 3


def test_a_server_that_never_speaks_is_cut_off(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        settings.OPTOUT_FETCH_ALLOW = [address]
        for scheme in ("http", "https"):
            begun = time.monotonic()
            with pytest.raises(Unreachable, match="out of time"):
                fetch(f"{scheme}://{address}/a.jpg", FetchLimits(most_bytes=10, seconds=0.4))
            assert time.monotonic() - begun < 3
    with pytest.raises(Unreachable):
        fetch(f"http://{address}/a.jpg", LIMITS)


def test_a_certificate_has_to_be_good(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate = _self_signed(tmp_path)

    def with_tls(server: ThreadingHTTPServer) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)

    with site({"/a.jpg": Page(b"picture")}, with_tls) as served:
        settings.OPTOUT_FETCH_ALLOW = [served.address]
        url = f"https://{served.address}/a.jpg"
        with pytest.raises(Unreachable, match="certificate"):
            fetch(url, LIMITS)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert fetch(url, LIMITS).body == b"picture"


@pytest.mark.parametrize(
    ("rules", "allowed"),
    [
        ("User-agent: *\nDisallow: /private/", True),
        ("User-agent: *\nDisallow: /", False),
        ("User-agent: OptoutRegistry\nDisallow: /\n\nUser-agent: *\nAllow: /", False),
        ("User-agent: *\nDisallow: /\n\nUser-agent: OptoutRegistry\nAllow: /", True),
        ("User-agent: *\nDisallow: /*.jpg$", False),
        ("\xff\xfe nonsense", True),
    ],
)
def test_robots_are_respected(web: Site, rules: str, allowed: bool) -> None:
    web.pages["/robots.txt"] = Page(rules.encode("latin-1"), "text/plain")
    assert may_fetch(f"{web.url}/works/1.jpg") is allowed
    assert may_fetch(f"{web.url}/works/1.jpg") is allowed
    assert [path for path, _ in web.asked] == ["/robots.txt"]


def test_no_robots_file_is_no_wish_and_a_failing_one_is_not_a_yes(web: Site) -> None:
    assert may_fetch(f"{web.url}/works/1.jpg")
    with site({"/robots.txt": Page(status=503)}) as failing:
        from django.conf import settings

        settings.OPTOUT_FETCH_ALLOW.append(failing.address)
        with pytest.raises(Unreachable):
            may_fetch(f"{failing.url}/works/1.jpg")


def _self_signed(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now - timedelta(days=1))
    builder = builder.not_valid_after(now + timedelta(days=1))
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    certificate = builder.add_extension(names, critical=False).sign(key, hashes.SHA256())
    path = folder / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + certificate.public_bytes(serialization.Encoding.PEM))
    return path


# --- From a claim's address to its selectors


def claimed(*urls: str) -> Claim:
    return claim_with_pictures(
        acting=person(),
        decision=Decision.DENY,
        uses=Use.AI_TRAIN,
        selectors=[(SelectorKind.URL, url) for url in urls],
        fetch=True,
    )


def work(claim: Claim) -> list[Upload]:
    with TestCase.captureOnCommitCallbacks(execute=True):
        for upload in claim.uploads.in_order():
            fetch_upload(str(upload.public_id))
            hash_upload(str(upload.public_id))
    return list(claim.uploads.in_order())


@pytest.mark.django_db
def test_a_fetched_picture_adds_its_hashes_to_the_claim(web: Site) -> None:
    data = jpeg()
    web.pages["/works/sea.jpg"] = Page(data)
    claim = claimed(f"{web.url}/works/sea.jpg", "https://example.org/elsewhere")
    claim.uploads.exclude(source_url__startswith=web.url).delete()
    (upload,) = claim.uploads.all()
    assert (upload.name, upload.object_key, upload.is_to_be_fetched) == ("sea.jpg", "", True)
    (upload,) = work(claim)
    assert (upload.state, upload.size_bytes, upload.content_type) == ("hashed", len(data), "image/jpeg")
    made = hash_picture(data)
    values = set(Selector.objects.filter(claim=claim).values_list("value", flat=True))
    assert {made.sha256, made.md5, made.fingerprint} < values
    assert list(storage.list_keys()) == []
    work(claim)
    assert [path for path, _ in web.asked] == ["/robots.txt", "/works/sea.jpg"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("page", "code", "sentence"),
    [
        (Page(b"<p>", "text/html"), "not_an_image", "The address has text/html, not a picture."),
        (Page(status=404), "not_found", "the server answered 404"),
        (Page(b""), "empty_file", "The server sent an empty file."),
        (Page(b"no picture"), "not_a_picture", "This is not a picture that can be read"),
        (
            Page(status=302, headers={"Location": "http://10.0.0.1/"}),
            "not_public",
            "10.0.0.1 is not a public",
        ),
    ],
)
def test_what_cannot_be_fetched_is_parked_with_a_reason_and_the_address_counts_all_the_same(
    web: Site, page: Page, code: str, sentence: str
) -> None:
    web.pages["/1.jpg"] = page
    claim = claimed(f"{web.url}/1.jpg")
    (upload,) = work(claim)
    assert (upload.state, upload.reason_code) == ("parked", code)
    assert sentence in upload.reason
    assert [row.kind_label for row in claim.selectors.all()] == ["url"]
    assert list(storage.list_keys()) == []


@pytest.mark.django_db
def test_a_site_closed_to_robots_is_left_alone(web: Site) -> None:
    web.pages |= {"/robots.txt": Page(b"User-agent: *\nDisallow: /", "text/plain"), "/1.jpg": Page(jpeg())}
    (upload,) = work(claimed(f"{web.url}/1.jpg"))
    assert (upload.state, upload.reason_code) == ("parked", "robots")
    assert [path for path, _ in web.asked] == ["/robots.txt"]


@pytest.mark.django_db
def test_a_server_that_fails_is_asked_again_and_in_the_end_given_up(web: Site) -> None:
    web.pages["/1.jpg"] = Page(status=503)
    claim = claimed(f"{web.url}/1.jpg")
    public_id = str(claim.uploads.get().public_id)
    for _ in range(MOST_ATTEMPTS - 1):
        with pytest.raises(Unreachable):
            fetch_upload(public_id)
    fetch_upload(public_id)
    upload = claim.uploads.get()
    assert (upload.state, upload.reason_code) == ("parked", "unreachable")
    assert upload.reason == "The server answered 503."


@pytest.mark.django_db(transaction=True)
def test_a_worker_fetches_tries_again_after_a_pause_and_hashes(web: Site) -> None:
    web.pages["/a.jpg"] = Page(b"", status=503)
    with worker():
        claim = claimed(f"{web.url}/a.jpg")
        wait_until(lambda: any(path == "/a.jpg" for path, _ in web.asked))
        web.pages["/a.jpg"] = Page(jpeg(1))
        wait_until(lambda: claim.uploads.get().state == Upload.State.HASHED)
    assert claim.uploads.get().attempts >= 1
    kinds = set(claim.selectors.values_list("kind", flat=True))
    assert kinds == {SelectorKind.URL, SelectorKind.PICTURE, SelectorKind.SHA256, SelectorKind.MD5}
