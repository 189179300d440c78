"""The public page that says what the registry knows about a picture."""

import io
from collections.abc import Iterator

import pytest
from django.test import Client
from PIL import Image, ImageOps
from pytest_django import Settings

from config import uploads
from optout.hashes import hash_picture
from optout.words import Decision, SelectorKind, Use
from registry import live, storage
from registry.errors import Unavailable
from registry.models import Claim, Upload
from registry.services.claims import register_claim
from registry.services.hashing import hash_upload
from registry.services.pictures import SentPicture, claim_with_pictures
from tests.server.parties import person
from tests.server.pictures import jpeg, named
from tests.server.portal import signed_in, text_of

pytestmark = pytest.mark.django_db
PAGE = "/lookup/picture/"


@pytest.fixture(autouse=True)
def _nothing_known() -> Iterator[None]:
    live.reset()
    yield
    live.reset()


@pytest.fixture
def claim() -> Claim:
    sent = SentPicture(io.BytesIO(jpeg(1)), "harbour.jpg")
    made = claim_with_pictures(acting=person(), decision=Decision.DENY, uses=Use.TDM, pictures=[sent])
    hash_upload(str(made.uploads.get().public_id))
    return made


def ask(data: bytes, status: int = 200) -> str:
    response = Client().post(PAGE, {"picture": named(data, "found.jpg")})
    assert response.status_code == status, response.content
    return text_of(response)


def mirrored(data: bytes) -> bytes:
    target = io.BytesIO()
    ImageOps.mirror(Image.open(io.BytesIO(data))).save(target, "JPEG", quality=60)
    return target.getvalue()


def test_the_same_file_and_a_mirrored_copy_are_denied_and_say_why(claim: Claim) -> None:
    text = ask(jpeg(1))
    assert "Denied. Do not use it for this." in text
    assert "Claim by anna-ahl" in text
    assert "Its hash differs from the claimed one in 0 bits; up to 31 count." in text
    text = ask(mirrored(jpeg(1)))
    assert "Denied. Do not use it for this." in text
    assert "The same picture. Perhaps encoded, resized or framed anew." in text
    assert "It is mirrored." in text
    assert "found.jpg" in text
    assert str(claim.public_id) in text


def test_another_picture_is_not_reserved_and_nothing_is_kept(claim: Claim) -> None:
    before = list(storage.list_keys())
    assert "Nobody has reserved this. That is not permission." in ask(jpeg(2))
    assert list(Upload.objects.all()) == [claim.uploads.get()]
    assert list(storage.list_keys()) == before


def test_weak_evidence_is_shown_apart(claim: Claim) -> None:
    phash = hash_picture(jpeg(3)).views[0].phash
    selectors = [(SelectorKind.PHASH, phash)]
    register_claim(acting=person("Bo Berg"), decision=Decision.DENY, uses=Use.TDM, selectors=selectors)
    text = ask(jpeg(3))
    assert "Nobody has reserved this." in text
    assert "Not decided, but worth a look Claim by bo-berg" in text
    assert "A similar picture. It may be another; a person has to look." in text


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty."),
        (b"words", "This is not a picture that can be read"),
        (jpeg(1) + bytes(90_000), "The picture is too large"),
    ],
)
def test_what_cannot_be_read_is_said_at_the_field(data: bytes, sentence: str, settings: Settings) -> None:
    settings.OPTOUT_MAX_PICTURE = 80_000
    assert sentence in ask(data, 400)


def test_without_a_file_it_says_so_and_the_form_is_open_to_all() -> None:
    response = Client().post(PAGE, {})
    assert response.status_code == 400
    assert "Choose a picture first." in text_of(response)
    assert "neither the picture nor the question is kept" in text_of(Client().get(PAGE))
    assert PAGE in Client().get("/lookup/").content.decode()


def test_when_the_registry_cannot_answer_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def away() -> None:
        raise Unavailable("away")

    monkeypatch.setattr("registry.portal.lookup.current_snapshot", away)
    assert "cannot answer right now" in ask(jpeg(1), 503)


@pytest.mark.parametrize("path", [PAGE, "/opt-out/pictures/"])
def test_a_form_over_the_limit_is_told_how_much_it_may_be(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    settings.OPTOUT_MAX_PICTURE = 3 << 10
    monkeypatch.setattr(uploads, "MOST_BYTES_AT_ONCE", 3 << 10)
    monkeypatch.setattr(uploads, "ENVELOPE", 1 << 10)
    browser = signed_in(person())
    response = browser.post(path, {"picture": named(b"x" * (5 << 10), "large.jpg")})
    assert response.status_code == 413
    text = text_of(response)
    assert "This form takes 3 KB at a time, all files together. Nothing was recorded." in text
    assert f'href="{path}"' in response.content.decode()


def test_a_form_that_cannot_be_read_is_something_else() -> None:
    response = Client().post(PAGE, b"--x", "multipart/form-data")
    assert response.status_code == 400
    assert "This could not be understood" in text_of(response)
