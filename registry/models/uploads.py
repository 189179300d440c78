"""Pictures that parties sent, or asked to have fetched, on their way to becoming selectors."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.identifiers import uuid7
from registry.models.claims import Claim
from registry.models.constraints import matching, octets_between
from registry.models.keys import ApiKey
from registry.models.people import Party, User

__all__ = ["Upload", "UploadQuerySet"]

_WAITING = Q(state__in=["queued", "hashing"])
_FINISHED = Q(state__in=["hashed", "parked", "deleted"])
_DIGESTS = Q(sha256__regex=r"^[0-9a-f]{64}$", md5__regex=r"^[0-9a-f]{32}$", fingerprint__regex=r"^ofp[0-9]+:")


class UploadQuerySet(models.QuerySet["Upload"]):
    """Reads of uploads."""

    def for_party(self, party: Party) -> "UploadQuerySet":
        return self.filter(party=party)

    def waiting(self) -> "UploadQuerySet":
        """What a worker has yet to fetch or to hash."""
        return self.filter(_WAITING)

    def to_embed(self) -> "UploadQuerySet":
        """What a worker has yet to embed, the oldest first."""
        return self.filter(embedding=Upload.Embedding.QUEUED).order_by("id")

    def to_clear(self) -> "UploadQuerySet":
        """Those whose picture is still stored although nothing needs it any more."""
        done = self.filter(_FINISHED, keep=False).exclude(object_key="")
        return done.exclude(embedding=Upload.Embedding.QUEUED)

    def in_order(self) -> "UploadQuerySet":
        """As they were sent; public ids sort by time."""
        return self.order_by("public_id")


class Upload(models.Model):
    """One picture of a claim, its way through the workers, and what it became.

    `object_key` is where the picture lies in the object store, empty once it was removed; `source_url` is the
    address to fetch it from, for pictures that were not sent. Digests, fingerprint and the selectors of the
    claim are written in one transaction with the state `hashed`.
    """

    class State(models.TextChoices):
        QUEUED = "queued", _("queued")
        HASHING = "hashing", _("hashing")
        HASHED = "hashed", _("hashed")
        PARKED = "parked", _("parked")
        DELETED = "deleted", _("deleted")

    class Embedding(models.TextChoices):
        NONE = "none", _("not wanted")
        QUEUED = "queued", _("queued")
        DONE = "done", _("done")
        PARKED = "parked", _("parked")

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="uploads", db_index=False)
    claim = models.ForeignKey(Claim, on_delete=models.PROTECT, related_name="uploads", db_index=False)
    user = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False)
    application = models.CharField(max_length=64, blank=True, default="")
    request_id = models.CharField(max_length=64, blank=True, default="")
    name = models.CharField(max_length=255)
    content_type = models.CharField(max_length=100, blank=True, default="")
    size_bytes = models.BigIntegerField(default=0)
    object_key = models.CharField(max_length=255, blank=True, default="")
    source_url = models.TextField(blank=True, default="")
    keep = models.BooleanField(default=False)
    state = models.CharField(max_length=16, choices=State, default=State.QUEUED)
    reason_code = models.CharField(max_length=64, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    attempts = models.PositiveIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True, default="")
    md5 = models.CharField(max_length=32, blank=True, default="")
    fingerprint = models.TextField(blank=True, default="")
    embedding = models.CharField(max_length=16, choices=Embedding, default=Embedding.NONE)
    embedding_attempts = models.PositiveIntegerField(default=0)
    clip_digest = models.UUIDField(
        null=True, blank=True, help_text=_("Digest of the clip selector made of this picture.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    sent_at = models.DateTimeField(default=timezone.now, help_text=_("When its task was last sent."))
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = UploadQuerySet.as_manager()

    class Meta:
        verbose_name = _("upload")
        verbose_name_plural = _("uploads")
        constraints = [
            models.CheckConstraint(condition=_WAITING | _FINISHED, name="upload_state_known"),
            models.CheckConstraint(
                condition=Q(embedding__in=["none", "queued", "done", "parked"]),
                name="upload_embedding_known",
            ),
            models.CheckConstraint(condition=Q(size_bytes__gte=0), name="upload_size_not_negative"),
            models.CheckConstraint(
                condition=(Q(state="hashed") & _DIGESTS)
                | (~Q(state="hashed") & Q(sha256="", md5="", fingerprint="")),
                name="upload_digests_iff_hashed",
            ),
            models.CheckConstraint(
                condition=matching(_FINISHED, "finished_at"), name="upload_finished_iff_finished_at"
            ),
            models.CheckConstraint(
                condition=(Q(state="parked") & ~Q(reason="") & ~Q(reason_code=""))
                | (~Q(state="parked") & Q(reason="", reason_code="")),
                name="upload_reason_iff_parked",
            ),
            models.CheckConstraint(
                condition=_FINISHED | ~Q(object_key="", source_url=""), name="upload_has_a_source"
            ),
            models.CheckConstraint(
                condition=octets_between("source_url", 0, 8192),
                name="upload_source_url_length",
            ),
            models.CheckConstraint(
                condition=~Q(embedding="queued") | (Q(state="hashed") & ~Q(object_key="")),
                name="upload_embedding_needs_picture",
            ),
            models.CheckConstraint(
                condition=matching(Q(embedding="done"), "clip_digest"), name="upload_embedded_iff_clip_digest"
            ),
        ]
        indexes = [
            models.Index(fields=["party", "-public_id"], name="upload_party_newest"),
            models.Index(fields=["claim", "public_id"], name="upload_claim_in_order"),
            models.Index(fields=["sent_at"], condition=_WAITING, name="upload_waiting"),
            models.Index(fields=["id"], condition=Q(embedding="queued"), name="upload_to_embed"),
            models.Index(
                fields=["finished_at"],
                condition=_FINISHED & Q(keep=False) & ~Q(object_key="") & ~Q(embedding="queued"),
                name="upload_to_clear",
            ),
            models.Index(fields=["-id"], condition=Q(state="hashed"), name="upload_hashed_newest"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.state})"

    @property
    def is_finished(self) -> bool:
        return self.state not in (self.State.QUEUED, self.State.HASHING)

    @property
    def is_kept(self) -> bool:
        """Whether the picture itself stays stored because its owner asked for that."""
        return self.keep and bool(self.object_key) and self.is_finished

    @property
    def is_to_be_fetched(self) -> bool:
        return bool(self.source_url) and not self.object_key and not self.is_finished
