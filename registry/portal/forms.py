"""The portal's forms. They check shape only; what a claim may say is decided by the services."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from optout.words import Decision, SelectorKind, Use
from registry.errors import RegistryError
from registry.models import Party
from registry.portal.lines import MOST_LINES, Line, read_lines
from registry.portal.words import DECISIONS, SCOPES, USES, Wording

__all__ = ["KeyForm", "PartyForm", "RegisterForm", "StatementForm", "add_refusal"]

LONGEST_FIELD = 1_000_000


def _choices(words: Mapping[Any, Wording]) -> list[tuple[str, Any]]:
    return [(getattr(word, "label", word), wording) for word, wording in words.items()]


def _lines(label: Any, help_text: Any, *, rows: int, example: str) -> forms.CharField:
    widget = forms.Textarea(
        attrs={
            "rows": rows,
            "class": "input-address",
            "spellcheck": "false",
            "autocapitalize": "none",
            "placeholder": example,
        }
    )
    return forms.CharField(
        label=label, help_text=help_text, required=False, max_length=LONGEST_FIELD, widget=widget
    )


def add_refusal(form: forms.Form, error: RegistryError) -> None:
    """Show what a service refused at the fields it names, and the rest at the top of the form."""
    known: dict[str, list[str]] = {}
    for name, errors in error.fields.items():
        field = name.partition(".")[0]  # `pictures.3` is shown at the field `pictures`
        if field in form.fields:
            known.setdefault(field, []).extend(errors)
    for name, errors in known.items():
        form.add_error(name, errors)
    if not known:
        form.add_error(None, [*(text for errors in error.fields.values() for text in errors)] or error.detail)


class StatementForm(forms.Form):
    """What a claim says, whatever it is about: the decision, and the uses."""

    decision = forms.ChoiceField(
        label=_("May they be used?"),
        choices=_choices(DECISIONS),
        widget=forms.RadioSelect,
        initial=Decision.DENY.label,
    )
    terms_url = forms.URLField(
        label=_("Address of your terms"),
        help_text=_("Needed only for the answer “Only on my terms”."),
        required=False,
        max_length=2048,
        assume_scheme="https",
        widget=forms.TextInput(
            attrs={
                "inputmode": "url",
                "class": "input-address",
                "spellcheck": "false",
                "autocapitalize": "none",
            }
        ),
    )
    uses = forms.MultipleChoiceField(
        label=_("Used for what?"),
        choices=_choices(USES),
        widget=forms.CheckboxSelectMultiple,
        initial=[Use.AI_TRAIN.label],
        error_messages={"required": _("Tick at least one use.")},
    )
    title = forms.CharField(
        label=_("A title"),
        help_text=_("So that you find this claim again, for example the name of a series. It is public."),
        required=False,
        max_length=500,
    )
    token = forms.UUIDField(widget=forms.HiddenInput)

    @property
    def stated(self) -> dict[str, Any]:
        """The arguments of register_claim that say what the claim says."""
        return {
            "decision": self.decision_word,
            "uses": self.uses_mask,
            "terms_url": self.terms,
            "title": self.cleaned_data["title"],
            "ref": f"portal-{self.cleaned_data['token']}",
        }

    @property
    def decision_wording(self) -> Wording:
        return DECISIONS[self.decision_word]

    @property
    def terms(self) -> str:
        """The address of the terms, empty when the decision needs none."""
        return self.cleaned_data["terms_url"] if self.decision_word is Decision.TERMS else ""

    @property
    def use_wordings(self) -> list[Wording]:
        return [USES[use] for use in USES if use & self.uses_mask]

    @property
    def covered_wordings(self) -> list[Wording]:
        """The uses that come along with the ticked ones."""
        return [USES[use] for use in USES if use & self.uses_mask.covered & ~self.uses_mask]

    @property
    def uses_mask(self) -> Use:
        mask = Use(0)
        for label in self.cleaned_data["uses"]:
            mask |= Use.parse(label)
        return mask

    @property
    def decision_word(self) -> Decision:
        return Decision[self.cleaned_data["decision"].upper()]

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        if data.get("decision") == Decision.TERMS.label and not data.get("terms_url") and "terms_url" in data:
            self.add_error("terms_url", _("Give the address where your terms can be read."))
        return data


class RegisterForm(StatementForm):
    """What is opted out, the decision, and the uses it is about."""

    LINES = {
        "urls": SelectorKind.URL,
        "prefixes": SelectorKind.PREFIX,
        "domains": SelectorKind.DOMAIN,
        "names": SelectorKind.NAME,
    }

    urls = _lines(
        _("Addresses of pictures or pages"),
        _("One on each line. Resized copies of the same picture are found too."),
        rows=5,
        example="https://example.org/pictures/harbour.jpg",
    )
    fetch = forms.BooleanField(
        label=_("Fetch the pictures at these addresses, so that copies elsewhere are found too"),
        help_text=_("They are hashed and not kept. What is no picture, or closed to robots, is left out."),
        required=False,
    )
    prefixes = _lines(
        _("A part of a site"),
        _("Everything below a path. One on each line."),
        rows=2,
        example="https://example.org/gallery",
    )
    domains = _lines(
        _("A whole site"),
        _("A domain covers its sub-domains too. It is recorded as stated, not yet proven."),
        rows=2,
        example="example.org",
    )
    names = _lines(
        _("A name in captions"),
        _("The name you sign with. Works whose caption has it are flagged."),
        rows=2,
        example="Ada Lindqvist",
    )

    @property
    def what(self) -> list[forms.BoundField]:
        """The fields that say which works are meant."""
        return [self[name] for name in ("urls", "fetch", "prefixes", "domains", "names")]

    @cached_property
    def lines(self) -> list[Line]:
        """Every line of every field, read. Only after the form was found valid in shape."""
        return read_lines((kind, self.cleaned_data.get(name, "")) for name, kind in self.LINES.items())

    @property
    def accepted(self) -> list[Line]:
        return [line for line in self.lines if line.value]

    @property
    def refused(self) -> list[Line]:
        return [line for line in self.lines if not line.value]

    @property
    def claim_fields(self) -> dict[str, Any]:
        """The arguments of claim_with_pictures."""
        return {
            **self.stated,
            "selectors": [(line.kind, line.written) for line in self.accepted],
            "fetch": self.cleaned_data["fetch"],
        }

    def clean(self) -> dict[str, Any]:
        data = super().clean()
        if not any(name in self.errors for name in self.LINES):
            self._check_lines()
        return data

    def _check_lines(self) -> None:
        if not self.lines:
            self.add_error("urls", _("Write at least one address, path, domain or name."))
        elif len(self.lines) > MOST_LINES:
            self.add_error(
                "urls",
                ngettext(
                    "One claim holds %(most)s line at most; these are %(count)s.",
                    "One claim holds %(most)s lines at most; these are %(count)s.",
                    MOST_LINES,
                )
                % {"most": f"{MOST_LINES:,}", "count": f"{len(self.lines):,}"},
            )
        elif not self.accepted:
            self._refuse_all()

    def _refuse_all(self) -> None:
        names = {kind: name for name, kind in self.LINES.items()}
        for line in self.refused:
            self.add_error(names[line.kind], f"{line.written[:80]}: {line.problem}")


class PartyForm(forms.Form):
    """Who you are to the public: a name, a handle, a kind."""

    display_name = forms.CharField(
        label=_("Your name"),
        help_text=_("As you sign your work. It is public, beside your claims."),
        max_length=200,
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    handle = forms.RegexField(
        r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$",
        label=_("Your handle"),
        help_text=_(
            "Stands for you in answers and files: lower-case letters, digits and hyphens. "
            "Leave it empty, and one is made from your name."
        ),
        required=False,
        widget=forms.TextInput(
            attrs={"autocomplete": "username", "autocapitalize": "none", "spellcheck": "false"}
        ),
        error_messages={
            "invalid": _("Use lower-case letters, digits and hyphens, for example ada-lindqvist.")
        },
    )
    kind = forms.ChoiceField(
        label=_("You are"),
        choices=[
            (Party.Kind.PERSON.value, Wording(_("One person"))),
            (
                Party.Kind.ORGANISATION.value,
                Wording(_("An organisation"), _("A studio, an estate, a museum, a publisher.")),
            ),
        ],
        widget=forms.RadioSelect,
        initial=Party.Kind.PERSON.value,
    )


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label=_("Name"), help_text=_("Where the key will be used, so that you know it again."), max_length=100
    )
    scopes = forms.MultipleChoiceField(
        label=_("What may it do?"),
        help_text=_("Tick only what is needed."),
        choices=_choices(SCOPES),
        widget=forms.CheckboxSelectMultiple,
        initial=["check"],
        error_messages={"required": _("Tick at least one.")},
    )
    days = forms.ChoiceField(
        label=_("How long may it be used?"),
        choices=[("90", _("90 days")), ("365", _("One year")), ("", _("Until you revoke it"))],
        required=False,
        initial="365",
    )

    @property
    def expires_at(self) -> datetime | None:
        days: str = self.cleaned_data["days"]
        return timezone.now() + timedelta(days=int(days)) if days else None
