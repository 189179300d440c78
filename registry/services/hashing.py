"""From a stored picture to selectors of its claim: what the hashing workers do, one upload at a time."""

import structlog
from django.conf import settings
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from optout.errors import BadInput, InvalidSelector
from optout.exchange import validate_selector
from optout.hashes import Picture, hash_picture
from optout.words import SelectorKind
from registry import storage
from registry.loading import RETRYABLE
from registry.locks import HASHING, session_lock
from registry.models import Claim, Upload
from registry.pictures import explain_bad_picture
from registry.services import flood
from registry.services.claims import add_selectors, hold_for_flood, lock_claim
from registry.services.embedding import want_embedding
from registry.services.events import waits
from registry.services.pictures import clear_stored

__all__ = ["MOST_ATTEMPTS", "hash_upload", "park_upload"]

#: After so many workers that died or were stopped over it, a picture is put aside.
MOST_ATTEMPTS = 4
_READ_MARGIN = 1
_REASONS = {
    "missing": "The stored picture is gone; please send it again.",
    "crashed": (
        "Reading this picture failed several times because of an error of ours. An operator will look at it."
    ),
}
_log = structlog.get_logger(__name__)


def hash_upload(public_id: str) -> None:
    """Hash the picture of an upload and make the hashes selectors of its claim.

    Does nothing when the upload is finished, unknown, still to be fetched, or in the hands of another worker:
    the lock belongs to the worker's database session, so a killed worker gives it back. A picture that can
    never be hashed is parked with a reason its owner understands.

    Raises:
        errors of the database and of the object store: try again later.
    """
    upload = Upload.objects.filter(public_id=public_id).first()
    if upload is None or upload.is_finished or not upload.object_key:
        return
    with session_lock(HASHING, upload.pk) as alone:
        if not (alone and _begin(upload)):
            return
        try:
            _hash(upload)
        except RETRYABLE:
            # Not the picture's fault: the attempt does not count.
            Upload.objects.waiting().filter(pk=upload.pk).update(
                state=Upload.State.QUEUED, attempts=F("attempts") - 1
            )
            raise


def park_upload(upload: Upload, code: str, reason: str) -> None:
    """Put an unfinished upload aside for good, with the reason, and remove its picture.

    A picture that our own program failed on is kept for the operator who looks at it.
    """
    parked = (
        Upload.objects.waiting()
        .filter(pk=upload.pk)
        .update(state=Upload.State.PARKED, reason_code=code, reason=reason, finished_at=timezone.now())
    )
    if parked:
        _log.info("upload_parked", upload=str(upload.public_id), code=code)
        if code != "crashed":
            clear_stored(upload)


def _begin(upload: Upload) -> bool:
    """Count the attempt; False when the upload was finished meanwhile or has had all its attempts."""
    waiting = Upload.objects.waiting().filter(pk=upload.pk)
    if not waiting.update(state=Upload.State.HASHING, attempts=F("attempts") + 1, started_at=timezone.now()):
        return False
    upload.refresh_from_db()
    if upload.attempts > MOST_ATTEMPTS:
        park_upload(upload, "crashed", _REASONS["crashed"])
        return False
    return True


def _hash(upload: Upload) -> None:
    try:
        with storage.open(upload.object_key) as file:
            data = file.read(settings.OPTOUT_MAX_PICTURE + _READ_MARGIN)
        picture = hash_picture(data, name=upload.name)
        fingerprint = validate_selector(SelectorKind.PICTURE, picture.fingerprint)
    except FileNotFoundError:
        park_upload(upload, "missing", _REASONS["missing"])
    except InvalidSelector as error:
        park_upload(upload, error.code, _sentence(error))
    except BadInput as error:
        park_upload(upload, error.code, explain_bad_picture(error.code))
    else:
        _record(upload, picture, fingerprint)


def _record(upload: Upload, picture: Picture, fingerprint: str) -> None:
    """Selectors, event and state in one transaction, once; then the picture is no longer needed."""
    flooding = flood.reason_of([(SelectorKind.PICTURE, fingerprint)], upload.party)
    with waits(), transaction.atomic():
        claim = lock_claim(upload)
        current = Upload.objects.select_for_update().get(pk=upload.pk)
        if current.state != Upload.State.HASHING:
            return
        current.state, current.finished_at = Upload.State.HASHED, timezone.now()
        current.sha256, current.md5, current.fingerprint = picture.sha256, picture.md5, fingerprint
        if claim.status == Claim.Status.WITHDRAWN:
            _forget(current)
        else:
            pairs = [
                (SelectorKind.SHA256, picture.sha256),
                (SelectorKind.MD5, picture.md5),
                (SelectorKind.PICTURE, fingerprint),
            ]
            add_selectors(current, claim, pairs, application="hashing")
            if flooding:
                hold_for_flood(claim, flooding)
            want_embedding(current)
        current.save()
        if current.embedding != Upload.Embedding.QUEUED and not current.keep:
            transaction.on_commit(lambda: clear_stored(current), robust=True)


def _forget(upload: Upload) -> None:
    """The claim was withdrawn while its picture waited: nothing of the picture is written down."""
    upload.state, upload.keep = Upload.State.DELETED, False
    upload.sha256 = upload.md5 = upload.fingerprint = ""


def _sentence(error: Exception) -> str:
    text = str(error)
    return text[:1].upper() + text[1:].rstrip(".") + "."
