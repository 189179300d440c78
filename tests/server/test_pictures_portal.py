"""Opting out by picture in the portal: many files without JavaScript, each with its state and reason."""

from typing import Any

import pytest
from django.test import Client, TestCase
from pytest_django import Settings

from registry import storage
from registry.actor import Actor
from registry.models import Claim, Upload
from registry.services.claims import hold_for_flood
from registry.services.hashing import hash_upload
from tests.server.parties import person
from tests.server.pictures import jpeg, named, white
from tests.server.portal import form_data, signed_in, text_of

pytestmark = pytest.mark.django_db
FORM = "/opt-out/pictures/"


@pytest.fixture
def anna() -> Actor:
    return person()


@pytest.fixture
def browser(anna: Actor) -> Client:
    return signed_in(anna)


def send(browser: Client, *files: bytes, address: str = FORM, **fields: Any) -> Any:
    pictures = [named(data, f"{number}.jpg") for number, data in enumerate(files)]
    return browser.post(address, {**form_data(**fields), "pictures": pictures}, follow=True)


def work() -> None:
    with TestCase.captureOnCommitCallbacks(execute=True):
        for upload in Upload.objects.waiting():
            hash_upload(str(upload.public_id))


def test_many_pictures_are_one_claim_and_each_tells_what_became_of_it(browser: Client) -> None:
    page = send(browser, jpeg(1), white(), b"nothing", title="Sea")
    claim = Claim.objects.get()
    address = f"/claims/{claim.public_id}/pictures/"
    assert page.redirect_chain == [(f"{address}?watch=1", 302)]
    text = text_of(page)
    assert "3 pictures arrived. They are being hashed." in text
    assert "3 pictures are waiting" in text
    assert text.count("Waiting") == 3
    work()

    text = text_of(browser.get(address))
    assert "Everything is done 1 recorded, 2 cannot be used" in text
    assert "0.jpg Recorded" in text
    assert "1.jpg Cannot be used" in text
    assert "cannot be matched by hash" in text
    assert "2.jpg Cannot be used This is not a picture that can be read" in text
    assert "Whole picture (quality" in text


def test_the_page_looks_again_by_itself_only_while_there_is_something_to_see(browser: Client) -> None:
    page = send(browser, jpeg())
    assert page["Refresh"] == "4"
    assert "This page looks again every 4 seconds. Stop that" in text_of(page)
    address = f"/claims/{Claim.objects.get().public_id}/pictures/"
    still = browser.get(address)
    assert "Refresh" not in still
    assert "Look again" in text_of(still)
    work()
    assert "Refresh" not in browser.get(f"{address}?watch=1")


def test_the_claim_says_what_its_pictures_match(browser: Client) -> None:
    send(browser, jpeg(), title="")
    work()
    claim = Claim.objects.get()
    page = browser.get(f"/claims/{claim.public_id}/")
    text = text_of(page)
    assert "0.jpg Recorded" in text
    assert "From a picture" not in text
    assert "More works added from a picture" in text
    assert Upload.objects.get().sha256 not in page.content.decode()
    assert "0.jpg" in text_of(browser.get("/claims/"))


def test_pictures_are_added_kept_and_deleted(browser: Client) -> None:
    send(browser, jpeg(1))
    claim = Claim.objects.get()
    address = f"/claims/{claim.public_id}/pictures/"
    send(browser, jpeg(2), address=address, keep="on")
    work()
    text = text_of(browser.get(address))
    assert text.count("Recorded") == 2
    assert "The picture itself is kept here." in text
    kept = claim.uploads.get(keep=True)
    with TestCase.captureOnCommitCallbacks(execute=True):
        page = browser.post(f"/pictures/{kept.public_id}/remove/", follow=True)
    assert "0.jpg is deleted here." in text_of(page)
    assert "The picture itself is kept here." not in text_of(page)
    assert list(storage.list_keys()) == []


def test_pressing_twice_records_once(browser: Client) -> None:
    data = form_data()
    pages = [
        browser.post(FORM, {**data, "pictures": [named(jpeg(), "a.jpg")]}, follow=True) for _ in range(2)
    ]
    assert pages[0].redirect_chain == pages[1].redirect_chain
    assert Claim.objects.count() == Upload.objects.count() == len(list(storage.list_keys())) == 1


@pytest.mark.parametrize(
    ("files", "fields", "sentence"),
    [
        ([], {}, "Choose at least one picture."),
        ([b"x"], {"uses": []}, "Tick at least one use."),
        ([b"x"], {"decision": "terms"}, "Give the address where your terms can be read."),
        ([b""], {}, "0.jpg is empty."),
        ([b"x" * 101], {}, "0.jpg has more than 100 bytes."),
        ([b"x"] * 101, {}, "Send at most 100 pictures at a time; these are 101."),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_at_the_top(
    browser: Client, settings: Settings, files: list[bytes], fields: dict[str, Any], sentence: str
) -> None:
    settings.OPTOUT_MAX_PICTURE = 100
    page = send(browser, *files, **fields)
    assert page.status_code in {400, 422}
    assert 'role="alert"' in page.content.decode()
    assert text_of(page).count(sentence) >= 2
    assert not Claim.objects.exists()
    assert list(storage.list_keys()) == []


def test_while_too_much_is_waiting_the_form_says_so(browser: Client, settings: Settings) -> None:
    settings.OPTOUT_MOST_WAITING = 1
    page = send(browser, jpeg(), jpeg())
    assert page.status_code == 503
    assert "Too many pictures are waiting" in text_of(page)


def test_anothers_pictures_are_not_there(browser: Client) -> None:
    send(browser, jpeg())
    claim, upload = Claim.objects.get().public_id, Upload.objects.get().public_id
    other = signed_in(person("Bo Berg"))
    assert other.get(f"/claims/{claim}/pictures/").status_code == 404
    assert send(other, jpeg(), address=f"/claims/{claim}/pictures/").status_code == 404
    assert other.post(f"/pictures/{upload}/remove/").status_code == 404
    assert Client().get(f"/claims/{claim}/pictures/").status_code == 302


def test_a_claim_on_hold_says_why(browser: Client) -> None:
    send(browser, jpeg())
    claim = Claim.objects.get()
    hold_for_flood(claim, "One of its hashes resembles too much.")
    for address in (f"/claims/{claim.public_id}/", f"/claims/{claim.public_id}/pictures/"):
        assert "One of its hashes resembles too much." in text_of(browser.get(address))


def test_a_name_that_is_markup_is_only_a_name(browser: Client) -> None:
    form = {**form_data(), "pictures": [named(jpeg(), "<b>&.jpg")]}
    page = browser.post(FORM, form, follow=True)
    assert b"&lt;b&gt;&amp;.jpg" in page.content
    assert b"<b>&" not in page.content
