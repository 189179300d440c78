"""Claims by picture: taking pictures in, and taking them back. Hashing them is a Celery task."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import takewhile
from pathlib import PurePosixPath
from typing import IO, Any
from urllib.parse import urlsplit

from celery import current_app
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from optout.words import SelectorKind
from registry import storage
from registry.actor import Actor
from registry.errors import Conflict, InvalidInput, NotFound, Unavailable
from registry.identifiers import uuid7
from registry.models import Claim, Party, Upload
from registry.services.claims import register_claim

__all__ = [
    "FETCH_TASK",
    "FOLDER",
    "HASH_TASK",
    "MOST_AT_ONCE",
    "MOST_BYTES_AT_ONCE",
    "MOST_OF_CLAIM",
    "SentPicture",
    "add_pictures",
    "claim_with_pictures",
    "clear_abandoned",
    "clear_stored",
    "delete_upload",
    "retry_upload",
    "send_work",
]

HASH_TASK = "workers.hashing.hash_upload"
FETCH_TASK = "workers.fetching.fetch_upload"
FOLDER = "pictures"
MOST_AT_ONCE = 100
#: Bytes of a form of the portal, all its pictures together.
MOST_BYTES_AT_ONCE = 512 << 20
MOST_OF_CLAIM = 1000
_ABANDONED = timedelta(days=1)
#: How much of the whole queue one party may fill.
_PARTY_SHARE = 0.25


@dataclass(frozen=True)
class SentPicture:
    """A picture as it arrives: a seekable binary file, what the sender calls it, and its media type."""

    file: IO[bytes]
    name: str
    content_type: str = ""


@dataclass(frozen=True)
class _Taken:
    """A picture that lies in the object store, or an address to fetch one from."""

    name: str
    object_key: str = ""
    source_url: str = ""
    content_type: str = ""
    size_bytes: int = 0


def claim_with_pictures(
    *,
    acting: Actor,
    pictures: Sequence[SentPicture] = (),
    selectors: Sequence[tuple[SelectorKind | int, str]] = (),
    fetch: bool = False,
    keep: bool = False,
    **stated: Any,
) -> Claim:
    """Register a claim about pictures; their hashes become its selectors as soon as workers have made them.

    Args:
        acting: who claims.
        pictures: up to 100 of them.
        selectors: further selectors, as for `register_claim`; may be empty when there are pictures.
        fetch: whether the pictures at the addresses among `selectors` are fetched and hashed as well.
        keep: whether the pictures stay stored after they were hashed.
        stated: decision, uses and the other arguments of `register_claim`.

    Raises:
        InvalidInput: also for pictures that are empty, too large or too many, as `pictures.<index>`.
        Unavailable: too much is waiting to be hashed (`too_much_waiting`); nothing was recorded.
        Forbidden, Conflict: as `register_claim`.
    """
    acting.require("claims:write")
    addresses = [value.strip() for kind, value in selectors if fetch and kind == SelectorKind.URL]
    _require_room(acting.party, len(pictures) + len(addresses))
    with _stored(pictures) as taken, transaction.atomic():
        claim = register_claim(acting=acting, selectors=selectors, pictures=len(pictures), **stated)
        taken = [*taken, *(_Taken(_name(url), source_url=url) for url in addresses)]
        _record(acting, claim, taken, keep)
    return claim


def add_pictures(
    *, acting: Actor, claim: Claim, pictures: Sequence[SentPicture], keep: bool = False
) -> list[Upload]:
    """Add pictures to a claim of the acting party.

    Raises:
        NotFound: the claim is another's.
        Conflict: it is withdrawn (`withdrawn`).
        InvalidInput, Unavailable: as `claim_with_pictures`; also for more than 1,000 pictures in one claim.
    """
    acting.require("claims:write")
    if claim.party_id != acting.party.pk:
        raise NotFound("There is no such claim.")
    if not pictures:
        raise InvalidInput({"pictures": ["Send at least one picture."]})
    _require_room(acting.party, len(pictures))
    with _stored(pictures) as taken, transaction.atomic():
        current = Claim.objects.select_for_update(of=("self",)).get(pk=claim.pk)
        if current.status == Claim.Status.WITHDRAWN:
            raise Conflict("The claim is withdrawn.", code="withdrawn")
        if current.uploads.count() + len(taken) > MOST_OF_CLAIM:
            raise InvalidInput({"pictures": [f"One claim holds {MOST_OF_CLAIM:,} pictures at most."]})
        return _record(acting, current, taken, keep)


def delete_upload(*, acting: Actor, upload: Upload) -> Upload:
    """Remove a stored picture; one that no worker has hashed yet is not hashed any more.

    What has been hashed stays a selector of the claim, which is withdrawn as a whole.

    Raises:
        NotFound: the upload is another's.
    """
    acting.require("claims:write")
    if upload.party_id != acting.party.pk:
        raise NotFound("There is no such picture.")
    with transaction.atomic():
        current = Upload.objects.select_for_update().get(pk=upload.pk)
        if not current.is_finished:
            current.state, current.finished_at = Upload.State.DELETED, timezone.now()
        if current.embedding == Upload.Embedding.QUEUED:
            current.embedding = Upload.Embedding.NONE
        current.keep = False
        current.save(update_fields=["state", "finished_at", "embedding", "keep"])
        transaction.on_commit(lambda: clear_stored(current), robust=True)
    return current


def retry_upload(*, upload: Upload) -> Upload:
    """Hash or fetch a parked upload once more.

    Raises:
        Conflict: it is not parked, or its picture was removed (`not_parked`).
    """
    with transaction.atomic():
        current = Upload.objects.select_for_update().get(pk=upload.pk)
        if current.state != Upload.State.PARKED or not (current.object_key or current.source_url):
            raise Conflict("The picture is not parked, or not stored any more.", code="not_parked")
        current.state, current.reason_code, current.reason = Upload.State.QUEUED, "", ""
        current.finished_at, current.attempts = None, 0
        current.save(update_fields=["state", "reason_code", "reason", "finished_at", "attempts"])
        send_work(current)
    return current


def clear_stored(upload: Upload) -> None:
    """Remove the picture of an upload that is finished with it; twice is no harm."""
    if upload.object_key:
        storage.delete(upload.object_key)
        Upload.objects.filter(pk=upload.pk).update(object_key="")
        upload.object_key = ""


def clear_abandoned() -> int:
    """Remove pictures that were stored by a request which then failed; how many there were.

    Names begin with the time, so that what a request is storing right now is left alone.
    """
    newest = f"{FOLDER}/{_uuid7_of(timezone.now() - _ABANDONED)}"
    old = list(takewhile(lambda key: key < newest, storage.list_keys(FOLDER)))
    removed = 0
    for start in range(0, len(old), 1000):
        part = old[start : start + 1000]
        known = set(Upload.objects.filter(object_key__in=part).values_list("object_key", flat=True))
        for key in set(part) - known:
            storage.delete(key)
            removed += 1
    return removed


def send_work(upload: Upload) -> None:
    """Send the task that fetches or hashes the upload, once the transaction has committed.

    When the broker is away the upload stays `queued`, and the sweep of workers/hashing.py sends it again.
    """
    task, public_id = FETCH_TASK if upload.is_to_be_fetched else HASH_TASK, str(upload.public_id)
    transaction.on_commit(lambda: _send(task, public_id), robust=True)


def _uuid7_of(moment: datetime) -> str:
    """The beginning of every UUIDv7 made at `moment`, as it is written."""
    digits = f"{int(moment.timestamp() * 1000):012x}"
    return f"{digits[:8]}-{digits[8:]}"


def _send(task: str, public_id: str) -> None:
    current_app.send_task(task, args=[public_id], retry=False)


def _require_room(party: Party, count: int) -> None:
    """Refuse what would make the queue longer than it may be: then the sender waits, not the workers."""
    if not count:
        return
    most: int = settings.OPTOUT_MOST_WAITING
    waiting = Upload.objects.waiting()
    own = waiting.for_party(party)[: most + 1].count()
    everybodys = waiting[: most + 1].count() + Upload.objects.to_embed()[: most + 1].count()
    if own + count > max(MOST_AT_ONCE, int(most * _PARTY_SHARE)) or everybodys + count > most:
        raise Unavailable(
            "Too many pictures are waiting to be hashed; send these again in a minute.",
            code="too_much_waiting",
            retry_after=60,
        )


@contextmanager
def _stored(pictures: Sequence[SentPicture]) -> Iterator[list[_Taken]]:
    """The pictures put into the object store; removed again when what follows fails."""
    _check(pictures)
    taken: list[_Taken] = []
    try:
        taken.extend(map(_put, pictures))  # one by one: what is in the store is known when one fails
        yield taken
    except BaseException:
        for one in taken:
            with suppress(Exception):  # the sweep of workers/upkeep.py removes what stays
                storage.delete(one.object_key)
        raise


def _check(pictures: Sequence[SentPicture]) -> None:
    if len(pictures) > MOST_AT_ONCE:
        raise InvalidInput({"pictures": [f"Send {MOST_AT_ONCE} pictures at a time, not {len(pictures):,}."]})
    most: int = settings.OPTOUT_MAX_PICTURE
    problems: dict[str, list[str]] = {}
    for index, picture in enumerate(pictures):
        size = picture.file.seek(0, 2)
        if size == 0:
            problems[f"pictures.{index}"] = [f"{_name(picture.name)} is empty."]
        elif size > most:
            problems[f"pictures.{index}"] = [f"{_name(picture.name)} has more than {most:,} bytes."]
    if problems:
        raise InvalidInput(problems)


def _put(picture: SentPicture) -> _Taken:
    key = f"{FOLDER}/{uuid7()}"
    size = picture.file.seek(0, 2)
    picture.file.seek(0)
    storage.put(key, picture.file)
    return _Taken(
        _name(picture.name), key, content_type=_printable(picture.content_type)[:100], size_bytes=size
    )


def _record(acting: Actor, claim: Claim, taken: Sequence[_Taken], keep: bool) -> list[Upload]:
    uploads = [
        Upload(
            party=acting.party,
            claim=claim,
            user=acting.user,
            key=acting.key,
            application=acting.application[:64],
            request_id=acting.request_id[:64],
            keep=keep,
            **vars(one),
        )
        for one in taken
    ]
    Upload.objects.bulk_create(uploads)
    for upload in uploads:
        send_work(upload)
    return uploads


def _name(written: str) -> str:
    """What a picture is called: the last part of a path or address, printable, never empty."""
    path = urlsplit(written).path if "://" in written else written.replace("\\", "/")
    return _printable(PurePosixPath(path).name)[:255] or "picture"


def _printable(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]", "", text)
