"""What `check` takes and answers."""

from rest_framework import serializers

from api.conf import MAX_ITEMS, MAX_PICTURES_CHECK
from api.serializers import DECISIONS, KINDS, OUTCOMES, TIERS, USES

__all__ = ["CheckAnswer", "CheckPictures", "CheckQuestion"]


class CheckItem(serializers.Serializer[object]):
    """One thing, by whatever is known of it; at least one of these."""

    url = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    text = serializers.CharField(required=False, allow_null=True, allow_blank=True, help_text="The caption.")
    sha256 = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    md5 = serializers.CharField(required=False, allow_null=True, allow_blank=True)
    phash = serializers.CharField(
        required=False, allow_null=True, help_text="As imagehash writes it; never more than for review."
    )
    pdq = serializers.CharField(required=False, allow_null=True, help_text="As pdqhash writes it.")
    picture = serializers.CharField(
        required=False, allow_null=True, help_text="The fingerprint that `optout hash` prints."
    )
    clip = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="`oce1:<model>:<embedding>`, by 8 models at most in one call.",
    )


class CheckQuestion(serializers.Serializer[object]):
    """What `check` takes: `urls`, or `items` of mixed kinds."""

    urls = serializers.ListField(
        child=serializers.CharField(allow_null=True, allow_blank=True), required=False, max_length=MAX_ITEMS
    )
    items = serializers.ListField(child=CheckItem(), required=False, max_length=MAX_ITEMS)
    use = serializers.ChoiceField(choices=USES, required=False)
    min_grade = serializers.IntegerField(min_value=0, max_value=4, required=False)
    names = serializers.ChoiceField(choices=["flag", "remove", "ignore"], required=False)
    evidence = serializers.ChoiceField(
        choices=TIERS, required=False, help_text="The weakest picture evidence that decides; `match`."
    )
    at = serializers.DateTimeField(required=False, allow_null=True)


class CheckPictures(serializers.Serializer[object]):
    """Pictures to ask about, as a form; each is an item."""

    pictures = serializers.ListField(
        child=serializers.FileField(), min_length=1, max_length=MAX_PICTURES_CHECK
    )
    use = serializers.ChoiceField(choices=USES, required=False)
    min_grade = serializers.IntegerField(min_value=0, max_value=4, required=False)
    names = serializers.ChoiceField(choices=["flag", "remove", "ignore"], required=False)
    evidence = serializers.ChoiceField(choices=TIERS, required=False)
    at = serializers.DateTimeField(required=False)


class Reason(serializers.Serializer[object]):
    """A claim that speaks about the item."""

    claim = serializers.UUIDField()
    owner = serializers.CharField()
    ref = serializers.CharField()
    selector = serializers.ChoiceField(choices=KINDS)
    matched = serializers.CharField(help_text="What matched: the locator, origin, domain, digest or name.")
    how = serializers.CharField(help_text="`canonical`, `variant`, …")
    decision = serializers.ChoiceField(choices=DECISIONS)
    grade = serializers.IntegerField(min_value=0, max_value=4)
    valid_from = serializers.DateTimeField(allow_null=True)
    terms_url = serializers.CharField()
    title = serializers.CharField()
    tier = serializers.ChoiceField(choices=TIERS, help_text="How strong the evidence is.")
    view = serializers.CharField(
        allow_null=True, help_text="Of a picture the claimed view that was met, such as `whole`."
    )
    orientation = serializers.CharField(
        allow_null=True, help_text="Of a picture what was done to the item to look like the claim."
    )
    distance = serializers.FloatField(
        help_text="Bits that differ, of embeddings 1 - cosine; 0 for what matches exactly."
    )
    threshold = serializers.FloatField(help_text="What `distance` may be in this tier.")
    snapshot = serializers.CharField()


class ItemError(serializers.Serializer[object]):
    """Why an item cannot be judged."""

    code = serializers.CharField()
    detail = serializers.CharField()


class ItemAnswer(serializers.Serializer[object]):
    """What the registry says about one item."""

    outcome = serializers.ChoiceField(choices=OUTCOMES)
    flags = Reason(many=True, help_text="Names found in the caption, for a person to look at.")
    reasons = Reason(many=True)
    error = ItemError(required=False)


class CheckAnswer(serializers.Serializer[object]):
    """The answers in the order of the items, and what they rest on."""

    use = serializers.ChoiceField(choices=USES)
    snapshot = serializers.CharField(help_text="Digest of the snapshot that answered.")
    as_of = serializers.DateTimeField(
        allow_null=True,
        help_text="Claims up to then are in the answers; null: the database has not been seen yet.",
    )
    stale = serializers.BooleanField(help_text="The newest claims may be missing: the database is away.")
    counts = serializers.DictField(child=serializers.IntegerField(min_value=0))
    answers = ItemAnswer(many=True)
