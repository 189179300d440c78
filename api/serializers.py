"""The shapes of requests and answers. `check` has its shapes here for the schema only: see `api.check`."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers

from optout.engine import Tier
from optout.words import Decision, Outcome, SelectorKind, Use
from registry.models import Claim, Import, Upload

__all__ = [
    "ClaimPage",
    "ClaimShown",
    "ImportPage",
    "ImportShown",
    "KeyShown",
    "NewClaim",
    "NewImport",
    "NewPictureClaim",
    "NewPictures",
    "ProblemDocument",
    "RejectionPage",
    "SnapshotShown",
    "SpawningAnswer",
    "StatedWithPictures",
    "TrustedKeyList",
    "UploadList",
    "UploadPage",
    "UploadShown",
]

OUTCOMES = [outcome.label for outcome in Outcome]
STATUSES = list(Claim.Status.values)
DECISIONS = [decision.label for decision in Decision]
USES = [use.label for use in Use]
KINDS = [kind.label for kind in SelectorKind]
UPLOAD_STATES = list(Upload.State.values)
EMBEDDING_STATES = list(Upload.Embedding.values)
TIERS = [tier.label for tier in Tier]
MAX_SELECTORS = 1000


class _Strict(serializers.Serializer[object]):
    """Refuses members that it does not know: whoever misspells `valid_from` shall not claim since ever."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping) and (unknown := data.keys() - self.fields.keys()):
            sentence = f"There is no such member; there are {', '.join(self.fields)}."
            raise serializers.ValidationError({name[:100]: [sentence] for name in sorted(unknown)[:20]})
        return super().to_internal_value(data)


class SelectorField(_Strict):
    """One selector: its kind and value."""

    kind = serializers.ChoiceField(choices=KINDS)
    value = serializers.CharField(max_length=8192)


class NewClaim(_Strict):
    """What registering a claim takes."""

    decision = serializers.ChoiceField(choices=DECISIONS)
    uses = serializers.ListField(
        child=serializers.ChoiceField(choices=USES), min_length=1, max_length=len(USES)
    )
    selectors = serializers.ListField(child=SelectorField(), min_length=1, max_length=MAX_SELECTORS)
    owner = serializers.CharField(max_length=200, required=False, allow_blank=True)
    ref = serializers.CharField(max_length=200, required=False, allow_blank=True)
    valid_from = serializers.DateTimeField(required=False, allow_null=True)
    terms_url = serializers.CharField(max_length=2048, required=False, allow_blank=True)
    title = serializers.CharField(max_length=500, required=False, allow_blank=True)
    fetch = serializers.BooleanField(
        required=False, help_text="Also fetch the pictures at the claim's addresses, and claim their hashes."
    )
    keep = serializers.BooleanField(
        required=False, help_text="Keep the pictures stored after they were hashed."
    )


class StatedWithPictures(NewClaim):
    """The same as text in a form with pictures; it may name no selectors at all."""

    selectors = serializers.ListField(child=SelectorField(), max_length=MAX_SELECTORS, required=False)


class NewPictures(serializers.Serializer[object]):
    """Pictures for a claim."""

    pictures = serializers.ListField(child=serializers.FileField(), min_length=1, max_length=100)
    keep = serializers.BooleanField(required=False, help_text="Keep them stored after they were hashed.")


class NewPictureClaim(serializers.Serializer[object]):
    """A claim with its pictures, as a form."""

    claim = serializers.CharField(help_text="What a claim takes, as JSON; `selectors` may be left out.")
    pictures = serializers.ListField(child=serializers.FileField(), min_length=1, max_length=100)


class SelectorShown(SelectorField):
    """One selector of a claim, and for those that follow from a picture who computed it."""

    computed_by = serializers.ChoiceField(
        choices=["registry", "client"],
        required=False,
        help_text="`registry`: from a picture that was sent or fetched. `client`: sent as it is.",
    )


class PictureCounts(serializers.Serializer[object]):
    """How many of the claim's pictures are where."""

    waiting = serializers.IntegerField(min_value=0)
    hashed = serializers.IntegerField(min_value=0)
    parked = serializers.IntegerField(min_value=0, help_text="They cannot be hashed; each says why.")


class UploadShown(serializers.Serializer[object]):
    """A picture of a claim and what became of it."""

    id = serializers.UUIDField()
    claim = serializers.UUIDField()
    name = serializers.CharField()
    source_url = serializers.CharField(help_text="Where it is fetched from; empty for one that was sent.")
    size_bytes = serializers.IntegerField(min_value=0)
    state = serializers.ChoiceField(choices=UPLOAD_STATES)
    reason_code = serializers.CharField(help_text="Why it is parked: `not_a_picture`, `degenerate_hash`, …")
    reason = serializers.CharField(help_text="The same as a sentence.")
    kept = serializers.BooleanField(help_text="Whether the picture itself is still stored, on request.")
    sha256 = serializers.CharField()
    md5 = serializers.CharField()
    fingerprint = serializers.CharField()
    embedding = serializers.ChoiceField(choices=EMBEDDING_STATES)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


class UploadList(serializers.Serializer[object]):
    """Some pictures, in the order in which they were sent."""

    results = UploadShown(many=True)


class UploadPage(serializers.Serializer[object]):
    """Some pictures."""

    results = UploadShown(many=True)
    next = serializers.URLField(allow_null=True, help_text="Address of the next page.")


class ClaimShown(serializers.Serializer[object]):
    """A claim as its own party sees it."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=STATUSES)
    party = serializers.CharField(help_text="Handle of the party that registered it.")
    owner = serializers.CharField(help_text="The creator a platform speaks for.")
    ref = serializers.CharField()
    decision = serializers.ChoiceField(choices=DECISIONS)
    uses = serializers.ListField(child=serializers.ChoiceField(choices=USES))
    covers = serializers.ListField(
        child=serializers.ChoiceField(choices=USES), help_text="Every use the claim speaks about."
    )
    grade = serializers.IntegerField(min_value=0, max_value=4)
    valid_from = serializers.DateTimeField(allow_null=True)
    terms_url = serializers.CharField()
    title = serializers.CharField()
    selectors = SelectorShown(many=True, help_text="The first 1,000, in a list of claims the first 100.")
    selector_count = serializers.IntegerField(help_text="How many there are in all.")
    pictures = PictureCounts()
    hold_reason = serializers.CharField(help_text="Why it is held, where the party is told.")
    created_at = serializers.DateTimeField()
    withdrawn_at = serializers.DateTimeField(allow_null=True)


class ClaimPage(serializers.Serializer[object]):
    """Some claims."""

    results = ClaimShown(many=True)
    next = serializers.URLField(allow_null=True, help_text="Address of the next page.")


class NewImport(serializers.Serializer[object]):
    """A claim exchange file."""

    file = serializers.FileField()
    sha256 = serializers.CharField(required=False, help_text="The file's digest; another one is refused.")


class ImportShown(serializers.Serializer[object]):
    """An import and how far it has come."""

    id = serializers.UUIDField()
    state = serializers.ChoiceField(choices=Import.State.values)
    filename = serializers.CharField()
    format = serializers.ChoiceField(choices=["jsonl", "csv", "parquet"])
    sha256 = serializers.CharField()
    size_bytes = serializers.IntegerField(min_value=0)
    rows_done = serializers.IntegerField(min_value=0)
    rows_good = serializers.IntegerField(min_value=0)
    rows_bad = serializers.IntegerField(min_value=0)
    rows_unchanged = serializers.IntegerField(min_value=0)
    claims_created = serializers.IntegerField(min_value=0)
    claims_amended = serializers.IntegerField(min_value=0)
    error = serializers.CharField()
    error_code = serializers.CharField()
    created_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class ImportPage(serializers.Serializer[object]):
    """Some imports."""

    results = ImportShown(many=True)
    next = serializers.URLField(allow_null=True, help_text="Address of the next page.")


class Rejection(serializers.Serializer[object]):
    """A row that was refused."""

    row = serializers.IntegerField(min_value=1)
    code = serializers.CharField()
    detail = serializers.CharField()
    excerpt = serializers.CharField()


class RejectionPage(serializers.Serializer[object]):
    """Some refused rows, in the order of the file."""

    results = Rejection(many=True)
    next = serializers.URLField(allow_null=True, help_text="Address of the next page.")


class SnapshotFile(serializers.Serializer[object]):
    """One file of a snapshot."""

    path = serializers.CharField()
    size = serializers.IntegerField(min_value=0)
    sha256 = serializers.CharField()
    url = serializers.URLField()
    scope = serializers.CharField(help_text="What a key needs to fetch it.")


class SnapshotShown(serializers.Serializer[object]):
    """A published snapshot."""

    id = serializers.UUIDField()
    digest = serializers.CharField(help_text="SHA-256 of manifest.json.")
    checkpoint = serializers.IntegerField(min_value=0)
    built_at = serializers.DateTimeField()
    manifest = serializers.DictField()
    signature = serializers.DictField(help_text="The DSSE envelope around the manifest.")
    files = SnapshotFile(many=True)


class TrustedKey(serializers.Serializer[object]):
    """A public key."""

    key_id = serializers.CharField(help_text="SHA-256 of the raw key, as signatures name it.")
    pem = serializers.CharField(help_text="Ed25519, for `optout … --trust`.")


class TrustedKeyList(serializers.Serializer[object]):
    """The keys that snapshots are signed with."""

    keys = TrustedKey(many=True)


class KeyShown(serializers.Serializer[object]):
    """Who a key belongs to and what it may do."""

    party = serializers.CharField()
    display_name = serializers.CharField()
    kind = serializers.CharField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)


class SpawningEntry(serializers.Serializer[object]):
    """One URL in Spawning's words."""

    url = serializers.CharField()
    optIn = serializers.BooleanField()  # noqa: N815 - the protocol's name
    optOut = serializers.BooleanField()  # noqa: N815


class SpawningAnswer(serializers.Serializer[object]):
    """One entry a line of the request, in its order."""

    urls = SpawningEntry(many=True)


class ProblemDocument(serializers.Serializer[object]):
    """An RFC 9457 problem document."""

    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField(required=False)
    fields = serializers.DictField(  # type: ignore[assignment]
        child=serializers.ListField(child=serializers.CharField()),
        required=False,
        help_text="What is wrong with which field; nested ones are named like `selectors.2.value`.",
    )
