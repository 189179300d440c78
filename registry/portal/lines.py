"""The lines a person writes into the opt-out form, one thing on each, and what each of them will match."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from optout.errors import InvalidSelector
from optout.exchange import validate_selector
from optout.locators import InvalidLocator, LocatorStatus, origins, variant_key
from optout.words import SelectorKind
from registry.portal.picture_cards import fingerprint_sentences, short_fingerprint
from registry.portal.words import KINDS, Text, Wording

__all__ = ["MOST_LINES", "Line", "explain_invalid", "read_lines", "shown"]

MOST_LINES = 1000
_PROBLEMS: dict[LocatorStatus, Text] = {
    LocatorStatus.EMPTY: gettext_lazy("Write or paste an address first."),
    LocatorStatus.SCHEME: gettext_lazy(
        "Only addresses of the web are taken: they begin with https:// or http://."
    ),
    LocatorStatus.HOST: gettext_lazy(
        "There is no such site name. Check the part between https:// and the next slash."
    ),
    LocatorStatus.PORT: gettext_lazy("The number after the colon is not a port."),
    LocatorStatus.ENCODING: gettext_lazy(
        "The address has characters that do not belong in one. Copy it from the browser again."
    ),
    LocatorStatus.TOO_LONG: gettext_lazy("The address is too long: 8,192 bytes are the most."),
}


@dataclass(frozen=True)
class Line:
    """One line of the form.

    Attributes:
        kind: which field it stands in.
        written: as the person wrote it.
        value: its canonical form, empty when it is refused.
        problem: why it is left out, empty when it is not.
        by_sender: whether it is a hash that the sender computed, of a picture that the registry has not seen.
    """

    kind: SelectorKind
    written: str
    value: str = ""
    problem: str = ""
    by_sender: bool = False

    @property
    def kind_wording(self) -> Wording:
        return KINDS[self.kind]

    @property
    def shown(self) -> str:
        """The canonical form as people know it; a name stays as written, only its matching folds it."""
        return self.written if self.kind is SelectorKind.NAME else shown(self.kind, self.value)

    @property
    def is_changed(self) -> bool:
        """Whether the canonical form differs from what was written."""
        return self.shown != self.written

    @property
    def matches(self) -> list[str]:
        """Sentences that say what the line will match."""
        sentences = _MATCHES[self.kind](self.value)
        if self.by_sender:
            sentences.append(_("Computed by the sender: the registry has not seen the picture."))
        return sentences


def read_lines(texts: Iterable[tuple[SelectorKind, str]]) -> list[Line]:
    """Every line that is not blank, in order; what repeats an earlier line is marked as such."""
    lines, seen = [], set()
    for kind, text in texts:
        for written in filter(None, (line.strip() for line in text.splitlines())):
            line = _read_line(kind, written)
            if line.value and (kind, line.value) in seen:
                line = Line(kind, written, problem=_("Says the same as a line above, and is recorded once."))
            seen.add((kind, line.value))
            lines.append(line)
    return lines


def shown(kind: int, value: str) -> str:
    """A canonical value as people know it: addresses with their scheme, long hashes by their beginning."""
    if kind in (SelectorKind.URL, SelectorKind.PREFIX):
        return f"https://{value}"
    if kind == SelectorKind.PICTURE:
        return short_fingerprint(value)
    return value if kind != SelectorKind.CLIP else value.rpartition(":")[0]


def _read_line(kind: SelectorKind, written: str) -> Line:
    try:
        return Line(kind, written, value=validate_selector(kind, written))
    except InvalidSelector as error:
        return Line(kind, written, problem=_explain(kind, written, error))


def _explain(kind: SelectorKind, written: str, error: InvalidSelector) -> str:
    if kind in (SelectorKind.URL, SelectorKind.PREFIX) and isinstance(error, InvalidLocator):
        return str(explain_invalid(error))
    sentence = str(error)
    if kind is SelectorKind.DOMAIN and "public suffix" in sentence:
        return _(
            "%(name)s belongs to everybody: other people have their sites under it. "
            "Write the name you registered, such as yourname.%(name)s."
        ) % {"name": written.lower().strip(".")}
    return sentence[:1].upper() + sentence[1:].rstrip(".") + "."


def explain_invalid(error: InvalidLocator) -> Text:
    """What is wrong with an address, for whoever wrote it."""
    return _PROBLEMS.get(error.status, gettext_lazy("This is not an address of the web."))


def _starred(value: str) -> list[str]:
    """A star is a letter like any other in an address, and hardly ever meant so."""
    if "*" not in value:
        return []
    return [_("The star stands for itself, not for “anything”. To cover all below a path, leave it out.")]


def _url_matches(value: str) -> list[str]:
    sentences = [*_starred(value), _("This address, with http or https, with or without www.")]
    if variant_key(value) == value:
        sentences.append(_("Resized variants of it, and copies of it behind image proxies."))
    else:
        sentences.append(_("Every other size of the same picture, and copies of it behind image proxies."))
    wrapped = origins(value)
    if wrapped:
        sentences.append(
            _("This address is itself a copy behind an image proxy. To cover the original, add https://%s.")
            % wrapped[-1]
        )
    return sentences


def _prefix_matches(value: str) -> list[str]:
    everything = _("Everything whose address begins with https://%s/, and that address itself.") % value
    return [*_starred(value), everything]


def _domain_matches(value: str) -> list[str]:
    return [
        _("Every page and file on %(name)s and on its sub-domains, such as images.%(name)s.")
        % {"name": value}
    ]


def _name_matches(value: str) -> list[str]:
    return [
        _("Captions that contain “%s” as whole words, whatever the capitals and accents.") % value,
        _("Such works are flagged; whoever makes the data set decides whether to leave them out."),
    ]


def _file_matches(value: str) -> list[str]:
    return [_("The very same file, byte for byte, wherever it lies.")]


def _pdq_matches(value: str) -> list[str]:
    return [_("Pictures whose PDQ hash differs in few bits.")]


def _phash_matches(value: str) -> list[str]:
    return [_("Pictures with a similar pHash. So short a hash never decides alone: a person has to look.")]


def _clip_matches(value: str) -> list[str]:
    return [_("Pictures that look alike to the same model.")]


_MATCHES = {
    SelectorKind.SHA256: _file_matches,
    SelectorKind.MD5: _file_matches,
    SelectorKind.PICTURE: fingerprint_sentences,
    SelectorKind.PDQ: _pdq_matches,
    SelectorKind.PHASH: _phash_matches,
    SelectorKind.CLIP: _clip_matches,
    SelectorKind.URL: _url_matches,
    SelectorKind.PREFIX: _prefix_matches,
    SelectorKind.DOMAIN: _domain_matches,
    SelectorKind.NAME: _name_matches,
}
