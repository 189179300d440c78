"""The registry's words as people read them; the words themselves are in optout.words."""

from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from optout.words import Decision, Grade, Outcome, SelectorKind, Use

__all__ = [
    "ANSWERS",
    "APPLICATIONS",
    "DECISIONS",
    "DECISION_TAGS",
    "EVENTS",
    "GRADES",
    "HOWS",
    "IMPORT_STATES",
    "KINDS",
    "ORIENTATIONS",
    "OUTCOMES",
    "SCOPES",
    "STATUSES",
    "TIERS",
    "USES",
    "VIEWS",
    "Text",
    "Wording",
]

Text = str | Promise


@dataclass(frozen=True)
class Wording:
    """A heading and the sentence that explains it; prints as the heading, so that it can label a choice."""

    heading: Text
    hint: Text = ""

    def __str__(self) -> str:
        return str(self.heading)


DECISIONS = {
    Decision.DENY: Wording(_("No"), _("Nobody may use these works in the ways named.")),
    Decision.TERMS: Wording(
        _("Only on my terms"), _("Using them needs an agreement; you give the address of your terms.")
    ),
    Decision.ALLOW: Wording(_("Yes"), _("You say openly that these works may be used.")),
}

# The same as a short mark beside a claim, where there is no question for yes and no to answer.
DECISION_TAGS = {Decision.DENY: _("Denied"), Decision.TERMS: _("On terms"), Decision.ALLOW: _("Allowed")}

USES = {
    Use.TDM: Wording(
        _("All text and data mining"),
        _("Every automated analysis, and with it all training of AI. The widest word there is."),
    ),
    Use.AI_TRAIN: Wording(
        _("Training any AI model"), _("Generative or not: recognising, sorting and making all included.")
    ),
    Use.AI_TRAIN_GENERATIVE: Wording(
        _("Training generative AI"), _("Only models that make pictures, text, sound or video.")
    ),
    Use.AI_INPUT: Wording(
        _("Feeding a finished AI model"),
        _("Handing your work to a model while it answers a question."),
    ),
    Use.SEARCH: Wording(_("Search"), _("Showing your work, or a part of it, among search results.")),
}

OUTCOMES = {
    Outcome.DENIED: Wording(_("Denied")),
    Outcome.TERMS: Wording(_("On terms")),
    Outcome.ALLOWED: Wording(_("Allowed")),
    Outcome.UNRESERVED: Wording(_("Unreserved")),
    Outcome.ERROR: Wording(_("Cannot be judged")),
}

# What the look-up page says at the top: the answer in words, and what it means.
ANSWERS = {
    Outcome.DENIED: Wording(
        _("Denied. Do not use it for this."), _("Somebody has reserved this work, and the answer is no.")
    ),
    Outcome.TERMS: Wording(
        _("Only on terms."),
        _("Using this work needs an agreement with whoever reserved it. The terms are named below."),
    ),
    Outcome.ALLOWED: Wording(_("Allowed."), _("Whoever spoke for this work allows this use of it.")),
    Outcome.UNRESERVED: Wording(
        _("Nobody has reserved this."),
        _(
            "That is not permission. It only means that no claim in this registry matches it; "
            "the law, and the people who made the work, may still say no."
        ),
    ),
    Outcome.ERROR: Wording(
        _("This cannot be judged."),
        _("Leave it out: what the registry cannot judge, it never calls allowed."),
    ),
}

KINDS = {
    SelectorKind.URL: Wording(_("Address")),
    SelectorKind.PREFIX: Wording(_("Path")),
    SelectorKind.DOMAIN: Wording(_("Domain")),
    SelectorKind.NAME: Wording(_("Name")),
    SelectorKind.SHA256: Wording(_("File (SHA-256)")),
    SelectorKind.MD5: Wording(_("File (MD5)")),
    SelectorKind.PICTURE: Wording(_("Picture")),
    SelectorKind.PHASH: Wording(_("Picture (pHash)")),
    SelectorKind.PDQ: Wording(_("Picture (PDQ)")),
    SelectorKind.CLIP: Wording(_("Picture (CLIP)")),
}

GRADES = {
    Grade.STATED: Wording(
        _("Stated"), _("The claimant confirmed an e-mail address. Nothing else was checked.")
    ),
    Grade.VOUCHED: Wording(
        _("Vouched for"), _("A platform that knows the creator registered this for them.")
    ),
    Grade.DOMAIN_PROVEN: Wording(_("Domain proven"), _("The claimant has shown that the domain is theirs.")),
    Grade.SIGNED_CREDENTIALS: Wording(
        _("Signed credentials"), _("The work itself carries signed content credentials that say the same.")
    ),
    Grade.OPERATOR_CHECKED: Wording(_("Checked"), _("An operator of this registry looked at the evidence.")),
}

# The views of a picture that are compared. The hint goes into a sentence.
VIEWS = {
    "whole": Wording(_("Whole picture"), _("the whole picture")),
    "centre": Wording(_("Centre square"), _("its centre square")),
    "stripped": Wording(_("Without borders"), _("the picture without its borders")),
}

# How a claim met the address that was asked about.
HOWS = {
    "canonical": Wording(
        _("The same address"), _("After harmless differences, such as http or www, were set aside.")
    ),
    "variant": Wording(
        _("A resized copy"), _("The address differs from the claimed one only in its size or crop.")
    ),
    "origin": Wording(_("Through an image proxy"), _("The address serves a copy of the claimed picture.")),
    "origin-variant": Wording(
        _("A resized copy, through an image proxy"),
        _("The address serves a copy that differs from the claimed one only in its size or crop."),
    ),
    "prefix": Wording(_("Within the claimed path"), _("The claim covers everything below that path.")),
    "domain": Wording(_("On the claimed domain"), _("The claim covers the domain and its sub-domains.")),
}

# How strong the evidence is that two pictures are the same.
TIERS = {
    "match": Wording(_("The same picture"), _("Perhaps encoded, resized or framed anew.")),
    "probable": Wording(_("Probably the same picture"), _("Edited, or a picture very much like it.")),
    "review": Wording(_("A similar picture"), _("It may be another; a person has to look.")),
}
# What was done to a picture to look like the claimed one; nothing is not said.
ORIENTATIONS = {
    "mirrored": _("It is mirrored."),
    "rotated 180": _("It stands on its head."),
    "flipped": _("It is mirrored top to bottom."),
    "transposed": _("It is turned and mirrored."),
    "rotated 90": _("It is turned to the left."),
    "transversed": _("It is turned and mirrored."),
    "rotated 270": _("It is turned to the right."),
}

STATUSES = {
    "active": Wording(_("Active"), _("The answers of the registry include it.")),
    "held": Wording(
        _("On hold"), _("A case about it is open. A no keeps its force meanwhile; anything else waits.")
    ),
    "withdrawn": Wording(_("Withdrawn"), _("It is no longer in any answer. Its history is kept.")),
}

EVENTS = {
    "registered": Wording(_("Registered")),
    "extended": Wording(_("More works added")),
    "amended": Wording(_("Changed")),
    "withdrawn": Wording(_("Withdrawn")),
    "held": Wording(_("Put on hold")),
    "released": Wording(_("Active again")),
}

APPLICATIONS: dict[str, Text] = {
    "portal": _("in the portal"),
    "api": _("through the API"),
    "import": _("in an import"),
    "admin": _("by an operator"),
    "hashing": _("from a picture"),
    "embedding": _("from a picture"),
    "flood-guard": _("by the guard against hashes that match too much"),
}

IMPORT_STATES = {
    "received": Wording(_("Waiting"), _("The file is here and will be read soon.")),
    "running": Wording(_("Being read")),
    "done": Wording(_("Done")),
    "failed": Wording(_("Stopped"), _("The file could not be read to its end. What was read before stays.")),
}

SCOPES = {
    "check": Wording(_("Check items"), _("Ask what the registry says about works.")),
    "claims:read": Wording(_("Read claims"), _("See your claims.")),
    "claims:write": Wording(_("Register and withdraw claims"), _("Make and end claims in your name.")),
    "imports:write": Wording(_("Send imports"), _("Upload files with many claims, and see how they went.")),
    "snapshots:read": Wording(_("Read snapshots"), _("Download the signed snapshots of all claims.")),
    "pictures:read": Wording(
        _("Read hashes of pictures"),
        _("Download the parts of snapshots that hold hashes of claimed pictures."),
    ),
}
