"""Pictures of claims, and fingerprints, as the pages show them."""

from dataclasses import dataclass

from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from optout.hashes import View, parse_fingerprint
from registry.models import Upload
from registry.portal.words import VIEWS, Text, Wording

__all__ = ["PictureCard", "ViewLine", "fingerprint_sentences", "short_fingerprint", "view_lines"]

_EMBEDDINGS: dict[str, Text] = {
    Upload.Embedding.QUEUED: gettext_lazy("Waiting for the model that compares pictures by what they show."),
    Upload.Embedding.DONE: gettext_lazy("Also compared by what it shows (embedding)."),
    Upload.Embedding.PARKED: gettext_lazy("Could not be embedded; its hashes count all the same."),
}
_STATES: dict[str, Wording] = {
    "fetching": Wording(gettext_lazy("Waiting to be fetched")),
    Upload.State.QUEUED: Wording(gettext_lazy("Waiting")),
    Upload.State.HASHING: Wording(gettext_lazy("Being hashed")),
    Upload.State.HASHED: Wording(gettext_lazy("Recorded")),
    Upload.State.PARKED: Wording(gettext_lazy("Cannot be used")),
    Upload.State.DELETED: Wording(gettext_lazy("Removed")),
}
_ICONS: dict[str, str] = {
    Upload.State.HASHED: "allowed",
    Upload.State.PARKED: "error",
    Upload.State.DELETED: "withdrawn",
}


@dataclass(frozen=True)
class ViewLine:
    """One view of a picture: its name in words, and its two hashes."""

    wording: Wording
    phash: str
    pdq: str
    quality: int


def view_lines(fingerprint: str) -> list[ViewLine]:
    """The views in a fingerprint."""
    return [_line(view) for view in parse_fingerprint(fingerprint)]


def short_fingerprint(fingerprint: str) -> str:
    """What a fingerprint is called in a list: the pHash of its first view."""
    return parse_fingerprint(fingerprint)[0].phash


def fingerprint_sentences(fingerprint: str) -> list[str]:
    """What a fingerprint will match, in words."""
    views = view_lines(fingerprint)
    names = ", ".join(str(view.wording.hint) for view in views)
    count = ngettext("Looked for as %(names)s.", "Looked for in %(count)d views: %(names)s.", len(views))
    return [
        _("Copies of this picture, also when they were re-encoded, resized, padded, mirrored or turned."),
        count % {"count": len(views), "names": names},
    ]


class PictureCard:
    """One picture of a claim."""

    def __init__(self, upload: Upload) -> None:
        self.upload = upload
        self.name = upload.name
        state = "fetching" if upload.is_to_be_fetched else upload.state
        self.state: Wording = _STATES[state]
        self.icon = _ICONS.get(upload.state, "waiting")
        self.embedding: Text = _EMBEDDINGS.get(upload.embedding, "")
        self.is_kept = upload.is_kept

    @cached_property
    def views(self) -> list[ViewLine]:
        return view_lines(self.upload.fingerprint) if self.upload.fingerprint else []

    @property
    def can_be_removed(self) -> bool:
        return self.is_kept or not self.upload.is_finished


def _line(view: View) -> ViewLine:
    return ViewLine(VIEWS[view.name], view.phash, view.pdq, view.quality)
