"""Pictures on their way from an upload to selectors: taken in, hashed once, parked with a reason."""

import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import TestCase
from django.utils import timezone
from pytest_django import Settings

from optout.hashes import hash_picture
from optout.words import Decision, Grade, SelectorKind, Use
from registry import storage
from registry.actor import Actor
from registry.errors import Conflict, InvalidInput, NotFound, Unavailable
from registry.models import Claim, ClaimEvent, Selector, Upload
from registry.services.claims import withdraw_claim
from registry.services.hashing import MOST_ATTEMPTS, hash_upload
from registry.services.pictures import SentPicture, add_pictures, claim_with_pictures, delete_upload
from tests.server.parties import person, prove
from tests.server.pictures import jpeg, png_bomb, white
from workers.upkeep import clear_pictures

pytestmark = pytest.mark.django_db
HUGE = (60_000).to_bytes(2, "little") * 2
GIF_BOMB = b"GIF89a" + HUGE + b"\x00\x00\x00," + bytes(4) + HUGE + b"\x00\x02\x02\x44\x01\x00;"


@pytest.fixture
def anna() -> Actor:
    return person()


def picture(data: bytes, name: str = "harbour.jpg") -> SentPicture:
    return SentPicture(io.BytesIO(data), name, "image/jpeg")


def claimed(actor: Actor, *data: bytes, **more: Any) -> Claim:
    stated = {"decision": Decision.DENY, "uses": Use.AI_TRAIN, **more}
    return claim_with_pictures(
        acting=actor,
        pictures=[picture(one, f"{number}.jpg") for number, one in enumerate(data)],
        **stated,
    )


def hashed(claim: Claim) -> list[Upload]:
    """Do what the workers do."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        for upload in claim.uploads.in_order():
            hash_upload(str(upload.public_id))
    return list(claim.uploads.in_order())


def deleted(actor: Actor, claim: Claim) -> Upload:
    with TestCase.captureOnCommitCallbacks(execute=True):
        delete_upload(acting=actor, upload=claim.uploads.get())
    return claim.uploads.get()


def pairs(claim: Claim) -> set[tuple[str, str]]:
    return {(row.kind_label, row.value) for row in Selector.objects.filter(claim=claim)}


def test_a_picture_becomes_three_selectors_and_is_forgotten(anna: Actor) -> None:
    data = jpeg()
    claim = claimed(anna, data, title="Harbour")
    (upload,) = claim.uploads.all()
    assert (upload.state, upload.size_bytes, upload.name) == ("queued", len(data), "0.jpg")
    assert storage.size(upload.object_key) == len(data)
    assert pairs(claim) == set()

    (upload,) = hashed(claim)
    made = hash_picture(data)
    assert pairs(claim) == {("sha256", made.sha256), ("md5", made.md5), ("picture", made.fingerprint)}
    assert (upload.state, upload.sha256, upload.fingerprint) == ("hashed", made.sha256, made.fingerprint)
    assert upload.object_key == ""
    assert list(storage.list_keys()) == []
    assert [event.type for event in ClaimEvent.objects.order_by("id")] == ["registered", "extended"]
    event = ClaimEvent.objects.latest("id")
    assert (event.application, event.party, event.user, event.payload["selectors"]) == (
        "hashing",
        anna.party,
        anna.user,
        3,
    )


def test_hashing_twice_changes_nothing(anna: Actor) -> None:
    claim = claimed(anna, jpeg())
    assert hashed(claim)[0].attempts == hashed(claim)[0].attempts == 1
    assert ClaimEvent.objects.count() == 2
    assert Selector.objects.count() == 3


def test_the_same_picture_twice_is_recorded_once(anna: Actor) -> None:
    claim = claimed(anna, jpeg(), jpeg())
    assert [upload.state for upload in hashed(claim)] == ["hashed", "hashed"]
    assert Selector.objects.count() == 3
    assert ClaimEvent.objects.count() == 2


def test_a_picture_is_kept_on_request(anna: Actor) -> None:
    data = jpeg()
    claim = claimed(anna, data, keep=True)
    (upload,) = hashed(claim)
    with storage.open(upload.object_key) as file:
        assert file.read() == data
    assert clear_pictures() == 0
    upload = deleted(anna, claim)
    assert (upload.state, upload.keep, upload.object_key) == ("hashed", False, "")
    assert len(pairs(claim)) == 3


@pytest.mark.parametrize(
    ("data", "code", "sentence"),
    [
        (jpeg()[:600], "not_a_picture", "This is not a picture that can be read"),
        (b"just words, whatever the name says", "not_a_picture", "This is not a picture that can be read"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_picture", "of a format that is not taken"),
        (b"\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic", "not_a_picture", "JPEG, PNG, WebP"),
        (png_bomb(), "picture_too_large", "too many pixels"),
        (GIF_BOMB, "picture_too_large", "too many pixels"),
        (white(), "degenerate_hash", "cannot be matched by hash"),
    ],
    ids=["truncated", "text", "svg", "heic", "png-bomb", "gif-bomb", "white"],
)
def test_a_poison_picture_is_parked_with_a_reason_and_the_others_go_on(
    anna: Actor, data: bytes, code: str, sentence: str
) -> None:
    claim = claimed(anna, data, jpeg())
    bad, good = hashed(claim)
    assert (bad.state, bad.reason_code) == ("parked", code)
    assert sentence in bad.reason
    assert good.state == "hashed"
    assert len(pairs(claim)) == 3
    assert list(storage.list_keys()) == []


def test_a_picture_that_kills_workers_is_put_aside_and_kept_for_the_operator(anna: Actor) -> None:
    claim = claimed(anna, jpeg())
    Upload.objects.update(state="hashing", attempts=MOST_ATTEMPTS)
    (upload,) = hashed(claim)
    assert (upload.state, upload.reason_code) == ("parked", "crashed")
    assert storage.exists(upload.object_key)
    assert clear_pictures() == 0


def test_a_stored_picture_that_is_gone_is_said_to_be_gone(anna: Actor) -> None:
    claim = claimed(anna, jpeg())
    storage.delete(claim.uploads.get().object_key)
    (upload,) = hashed(claim)
    assert (upload.state, upload.reason_code) == ("parked", "missing")


def test_a_withdrawn_claim_gets_no_more_selectors(anna: Actor) -> None:
    claim = claimed(anna, jpeg())
    withdraw_claim(acting=anna, claim=claim)
    (upload,) = hashed(claim)
    assert (upload.state, upload.sha256, upload.fingerprint) == ("deleted", "", "")
    assert not pairs(claim)
    with pytest.raises(Conflict, match="withdrawn"):
        add_pictures(acting=anna, claim=claim, pictures=[picture(jpeg())])


def test_what_is_deleted_before_it_is_hashed_is_not_hashed(anna: Actor) -> None:
    claim = claimed(anna, jpeg())
    deleted(anna, claim)
    (upload,) = hashed(claim)
    assert upload.state == "deleted"
    assert not pairs(claim)
    assert list(storage.list_keys()) == []


def test_pictures_are_added_to_ones_own_claim_only(anna: Actor) -> None:
    claim = claimed(anna, jpeg(1))
    (added,) = add_pictures(acting=anna, claim=claim, pictures=[picture(jpeg(2))])
    assert added.claim == claim
    hashed(claim)
    assert len(pairs(claim)) == 6
    bo = person("Bo Berg")
    with pytest.raises(NotFound):
        add_pictures(acting=bo, claim=claim, pictures=[picture(jpeg(3))])
    with pytest.raises(NotFound):
        delete_upload(acting=bo, upload=added)


def test_what_cannot_be_taken_is_named_and_nothing_stays(anna: Actor, settings: Settings) -> None:
    settings.OPTOUT_MAX_PICTURE = 30_000
    with pytest.raises(InvalidInput) as caught:
        claimed(anna, b"", jpeg(side=60), jpeg() + bytes(40_000))
    assert caught.value.fields == {
        "pictures.0": ["0.jpg is empty."],
        "pictures.2": ["2.jpg has more than 30,000 bytes."],
    }
    with pytest.raises(InvalidInput, match="cannot be accepted"):
        claimed(anna, jpeg(side=60), uses=0)
    with pytest.raises(InvalidInput) as caught:
        claimed(anna)
    assert "selectors" in caught.value.fields
    assert not Claim.objects.exists()
    assert not Upload.objects.exists()
    assert list(storage.list_keys()) == []


def test_more_than_may_wait_is_refused_for_the_moment(anna: Actor, settings: Settings) -> None:
    settings.OPTOUT_MOST_WAITING = 2
    claimed(anna, jpeg(), jpeg())
    with pytest.raises(Unavailable) as caught:
        claimed(anna, jpeg())
    assert (caught.value.code, caught.value.status, caught.value.retry_after) == ("too_much_waiting", 503, 60)
    hashed(Claim.objects.get())
    claimed(anna, jpeg())


def test_a_picture_is_never_evidence_for_a_domain(anna: Actor) -> None:
    prove(anna, "ahl.example")
    page = (SelectorKind.URL, "https://ahl.example/1.jpg")
    assert claimed(anna, jpeg(), selectors=[page]).grade == Grade.STATED


def test_names_are_plain(anna: Actor) -> None:
    files = [picture(jpeg(), name) for name in ("../../etc/pass\nwd", "C:\\works\\Sea.jpg", "", "x" * 400)]
    claim = claim_with_pictures(acting=anna, decision=Decision.DENY, uses=Use.TDM, pictures=files)
    names = [upload.name for upload in claim.uploads.in_order()]
    assert names == ["passwd", "Sea.jpg", "picture", "x" * 255]


def test_what_a_failed_request_left_behind_is_removed_after_a_day(
    anna: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = claimed(anna, jpeg())
    old, new = (timezone.now() - timedelta(days=days) for days in (2, 0))
    for moment in (old, new):
        with monkeypatch.context() as then:
            then.setattr("time.time_ns", lambda at=moment: int(at.timestamp() * 1e9))
            monkeypatch.setattr("registry.identifiers._last", 0)
            from registry.identifiers import uuid7

            storage.put(f"pictures/{uuid7()}", io.BytesIO(b"x"))
    assert clear_pictures() == 1
    assert len(list(storage.list_keys())) == 2
    assert storage.exists(claim.uploads.get().object_key)
