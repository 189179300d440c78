"""The plain rules of locators: canonical form, origins, variant keys, domains, prefixes."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout.locators import (
    InvalidLocator,
    LocatorStatus,
    canonical,
    canonical_domain,
    canonical_prefix,
    host_of,
    host_suffixes,
    origins,
    prefixes,
    siphash13,
    variant_key,
)
from optout.locators.tables import groups, proxies
from tests.unit.locator_texts import urls

CANONICAL = [
    ("http://Example.ORG", "example.org/"),
    ("https://www.example.org/a.jpg", "example.org/a.jpg"),
    ("http://www.www.example.org/", "example.org/"),
    ("http://www.com/", "www.com/"),
    ("  http://example.org/a b.jpg\n", "example.org/a%20b.jpg"),
    ("http://exa\tmple.org/a\r\nb", "example.org/ab"),
    ("http:example.org/a", "example.org/a"),
    ("HTTPS:\\\\example.org\\a\\b", "example.org/a/b"),
    ("//example.org/a", "example.org/a"),
    ("example.org/a", "example.org/a"),
    ("example.org:8080/a", "example.org:8080/a"),
    ("http://user:pass@word@example.org/", "example.org/"),
    ("http://example.org:80/", "example.org/"),
    ("http://example.org:0443/", "example.org/"),
    ("http://example.org:/", "example.org/"),
    ("http://example.org:08080/", "example.org:8080/"),
    ("http://example.org../a", "example.org/a"),
    ("http://%65xample.org/", "example.org/"),
    ("http://bücher.example/ü", "xn--bcher-kva.example/%C3%BC"),
    ("http://BÜCHER。example/", "xn--bcher-kva.example/"),
    ("http://☃.example/", "xn--n3h.example/"),
    ("http://[2001:DB8:0::1]/a", "[2001:db8::1]/a"),
    ("http://[::ffff:1.2.3.4]:81/", "[::ffff:1.2.3.4]:81/"),
    ("http://192.0.2.1/a", "192.0.2.1/a"),
    ("http://example.org/a/./b/../c", "example.org/a/c"),
    ("http://example.org/a/%2E%2e/b", "example.org/b"),
    ("http://example.org/../a/..", "example.org/"),
    ("http://example.org//a//../b", "example.org//a/b"),
    ("http://example.org/%7ea%2f%c3%a9", "example.org/~a%2F%C3%A9"),
    ("http://example.org/100%/%zz/%4", "example.org/100%25/%25zz/%254"),
    ("http://example.org/%E9.jpg", "example.org/%E9.jpg"),
    ("http://example.org/a#b?c", "example.org/a"),
    ("http://example.org?x=1", "example.org/?x=1"),
    ("http://example.org/?", "example.org/"),
    ("http://example.org/?b=2&&a=1&", "example.org/?b=2&a=1"),
    ("http://example.org/?utm_source=x&a=1&FBCLID=y", "example.org/?a=1"),
    ("http://example.org/?a=1&amp;b=2", "example.org/?a=1&b=2"),
    ("http://example.org/?a=1&#38;b=&#x32;", "example.org/?a=1&b=2"),
    ("http://example.org/?a=1&copy=2&lt=3", "example.org/?a=1&copy=2&lt=3"),
    ("http://example.org/a&amp;amp;b", "example.org/a&amp%3Bb"),
    ("http://example.org/a&nbsp;b&#39;", "example.org/a%C2%A0b'"),
    ("http://example.org/&#8364;", "example.org/&"),
]

REFUSED: list[tuple[str | bytes, str]] = [
    ("", "empty"),
    (" \n\t", "empty"),
    ("&#32;", "empty"),
    ("javascript:alert(1)", "scheme"),
    ("data:image/png;base64,AAAA", "scheme"),
    ("ftp://example.org/a", "scheme"),
    ("/a/b.jpg", "scheme"),
    ("a/b.jpg", "scheme"),
    ("http://", "host"),
    ("http://localhost/a", "host"),
    ("http://exa mple.org/", "host"),
    ("http://a..example.org/", "host"),
    ("http://.example.org/", "host"),
    ("http://example.org:80:80/", "host"),
    ("http://[::1/", "host"),
    ("http://[::1]x/", "host"),
    ("http://[fe80::1%eth0]/", "host"),
    ("http://%ff.example.org/", "host"),
    ("http://" + "a." * 130 + "org/", "host"),
    ("http://example.org:http/", "port"),
    ("http://example.org:65536/", "port"),
    (b"http://example.org/\xff", "encoding"),
    ("http://example.org/\ud800", "encoding"),
    ("http://example.org/" + "a" * 8192, "too_long"),
    ("http://example.org/" + "é" * 2000, "too_long"),
    ("http://example.org/" + "a" * 1_000_000, "too_long"),
]


@pytest.mark.parametrize(("url", "expected"), CANONICAL)
def test_canonical(url: str, expected: str) -> None:
    assert canonical(url) == expected
    assert canonical(url.encode()) == expected
    assert canonical("https://" + expected) == expected


@pytest.mark.parametrize(("url", "code"), REFUSED)
def test_refused(url: str | bytes, code: str) -> None:
    with pytest.raises(InvalidLocator) as caught:
        canonical(url)
    assert caught.value.code == code
    assert caught.value.status == LocatorStatus[code.upper()]
    assert len(str(caught.value)) < 300


@settings(max_examples=200, deadline=None)
@given(urls)
def test_canonical_is_idempotent(url: bytes) -> None:
    try:
        once = canonical(url)
    except InvalidLocator:
        return
    assert canonical(once) == once
    assert canonical("http://" + once) == once
    assert all(canonical(origin) == origin for origin in origins(once))


@pytest.mark.parametrize("pair", [pair for proxy in proxies() for pair in proxy.examples])
def test_origin_examples(pair: tuple[str, str]) -> None:
    address, origin = pair
    assert canonical(address) == address
    assert [*origins(address), ""][0] == origin


def test_origins_are_unwrapped_three_times_and_never_in_circles() -> None:
    nested = "i0.wp.com/i1.wp.com/i2.wp.com/i3.wp.com/example.org/a.jpg"
    assert origins(nested) == [nested.split("/", count)[-1] for count in (1, 2, 3)]
    inner = "example.org/?u=http://example.org/"
    assert origins("example.org/?u=http://" + inner) == [inner, "example.org/"]
    assert origins("example.org/a.jpg") == []
    assert origins("example.net/http://javascript/") == []


@pytest.mark.parametrize("pair", [pair for group in groups() for pair in group.examples])
def test_variant_examples(pair: tuple[str, str]) -> None:
    locator, key = pair
    assert canonical(locator) == locator
    assert variant_key(locator) == key


@settings(max_examples=200, deadline=None)
@given(urls)
def test_variant_keys_only_shorten(url: bytes) -> None:
    try:
        locator = canonical(url)
    except InvalidLocator:
        return
    assert len(variant_key(locator)) <= len(locator)


def test_hosts_and_prefixes() -> None:
    assert host_of("a.example.org:81/x?y/z") == "a.example.org"
    assert host_of("[::1]:81/x") == "[::1]"
    assert host_suffixes("a.b.example.org") == ["a.b.example.org", "b.example.org", "example.org"]
    assert host_suffixes("[::1]") == []
    assert prefixes("example.org/gallery/a.jpg?x=/") == [
        "example.org",
        "example.org/gallery",
        "example.org/gallery/a.jpg",
    ]
    assert prefixes("example.org/") == ["example.org"]
    assert prefixes("example.org:81/a/") == ["example.org:81", "example.org:81/a"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("example.org", "example.org"),
        ("WWW.Example.org.", "example.org"),
        ("foo.github.io", "foo.github.io"),
        ("bücher.de", "xn--bcher-kva.de"),
        ("example.co.uk", "example.co.uk"),
    ],
)
def test_domains(text: str, expected: str) -> None:
    assert canonical_domain(text) == expected


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("co.uk", "public suffix"),
        ("com", "public suffix"),
        ("www.co.uk", "public suffix"),
        ("github.io", "public suffix"),
        ("blogspot.com", "public suffix"),
        ("wordpress.com", "public suffix"),
        ("*", "wildcard"),
        ("*.example.org", "wildcard"),
        ("192.0.2.1", "IP address"),
        ("[::1]", "bare host"),
        ("https://example.org/", "bare host"),
        ("example.org/a", "bare host"),
        ("", "empty"),
        ("exam ple.org", "bare host"),
        ("a..org", "not a domain"),
    ],
)
def test_refused_domains_say_why(text: str, why: str) -> None:
    with pytest.raises(InvalidLocator, match=why):
        canonical_domain(text)


def test_canonical_prefix() -> None:
    assert canonical_prefix("https://www.example.org/gallery//?x#y") == "example.org/gallery"
    assert canonical_prefix("example.org") == "example.org"
    with pytest.raises(InvalidLocator):
        canonical_prefix("/gallery")


def test_siphash_is_the_one_of_the_interpreter() -> None:
    texts = [b"a" * size for size in range(1, 20)] + [b"example.org/a.jpg"]
    if sys.hash_info.algorithm != "siphash13":
        # The first vectors of the algorithm's reference, for interpreters that hash otherwise.
        assert siphash13(b"", bytes(range(16))).to_bytes(8, "little").hex() == "dcc40f055801acab"
        return
    program = f"print([hash(text) for text in {texts!r}])"
    answer = subprocess.run(
        [sys.executable, "-c", program], env={"PYTHONHASHSEED": "0"}, capture_output=True, check=True
    )
    assert [siphash13(text, bytes(16)) for text in texts] == [value % 2**64 for value in eval(answer.stdout)]


def test_plain_functions_do_not_load_numba() -> None:
    program = (
        "import sys, optout.locators as l; l.canonical('http://example.org'); print('numba' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, text=True)
    assert answer.stdout.strip() == "False"


def test_origin_text_may_be_anything() -> None:
    assert origins(canonical("http://example.net/?url=http%3A%2F%2F%FF.example.org")) == []
    assert origins("example.net/http://example.org:99999/a") == []


@given(st.binary(max_size=40), st.binary(min_size=16, max_size=16))
def test_siphash_fits_64_bits(data: bytes, key: bytes) -> None:
    assert 0 <= siphash13(data, key) < 2**64
