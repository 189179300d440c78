"""The portal's forms that take pictures. They look at the files' number and size only; workers read them."""

from collections.abc import Sequence
from typing import IO, Any, cast

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.template.defaultfilters import filesizeformat
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from registry.portal.forms import StatementForm
from registry.services.pictures import MOST_AT_ONCE, MOST_BYTES_AT_ONCE, SentPicture

__all__ = ["ACCEPTED", "MorePicturesForm", "PictureLookupForm", "PicturesForm", "in_megabytes"]

#: What the file dialogue offers first; what a file really is, its bytes say.
ACCEPTED = "image/jpeg,image/png,image/webp,image/gif,image/tiff,image/bmp,image/avif"
_LABEL = _("Pictures")


class _ManyFilesInput(forms.ClearableFileInput):
    allow_multiple_selected = True


class _PicturesField(forms.FileField):
    """One or many files, cleaned into a list."""

    def __init__(self, **options: Any) -> None:
        attrs = {"multiple": True, "accept": ACCEPTED, "class": "drop"}
        options.setdefault("error_messages", {})["required"] = _("Choose at least one picture.")
        super().__init__(
            widget=_ManyFilesInput(attrs=attrs), max_length=None, allow_empty_file=True, **options
        )

    def clean(self, data: Any, initial: Any = None) -> Any:
        files = data if isinstance(data, list) else [data]
        cleaned = [super(_PicturesField, self).clean(file, initial) for file in files or [None]]
        if len(cleaned) > MOST_AT_ONCE:
            sentence = ngettext(
                "Send %(most)d picture at a time; these are %(count)d.",
                "Send at most %(most)d pictures at a time; these are %(count)d.",
                MOST_AT_ONCE,
            )
            raise forms.ValidationError(sentence % {"most": MOST_AT_ONCE, "count": len(cleaned)})
        return cleaned


def in_megabytes(size: int) -> str:
    """Bytes in words: 50 MB rather than 50.0 MB."""
    return filesizeformat(size).replace(".0", "")


def _largest() -> str:
    return in_megabytes(settings.OPTOUT_MAX_PICTURE)


def _hint() -> str:
    return _(
        "JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF, up to %(size)s each; at a time up to %(count)d, "
        "%(together)s together. You may drop them here."
    ) % {"size": _largest(), "count": MOST_AT_ONCE, "together": in_megabytes(MOST_BYTES_AT_ONCE)}


def _as_sent(files: Sequence["UploadedFile[bytes]"]) -> list[SentPicture]:
    return [SentPicture(cast("IO[bytes]", file), file.name or "", file.content_type or "") for file in files]


class _WithPictures(forms.Form):
    pictures = _PicturesField(label=_LABEL)
    keep = forms.BooleanField(
        label=_("Keep the pictures here"),
        help_text=_(
            "Usually they are deleted as soon as they are hashed. Keep them if an operator should be able to "
            "look at them in a dispute."
        ),
        required=False,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["pictures"].help_text = _hint()

    @property
    def sent(self) -> list[SentPicture]:
        """The files, for the services."""
        return _as_sent(self.cleaned_data["pictures"])


class PicturesForm(_WithPictures, StatementForm):
    """A claim by picture."""

    field_order = ["pictures", "keep"]


class MorePicturesForm(_WithPictures):
    """Further pictures for a claim."""


class PictureLookupForm(forms.Form):
    """A picture to be looked up: hashed in memory and forgotten."""

    picture = forms.FileField(
        label=_("What does the registry say about this picture?"),
        allow_empty_file=True,
        widget=forms.FileInput(attrs={"accept": ACCEPTED, "class": "drop"}),
        error_messages={"required": _("Choose a picture first.")},
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["picture"].help_text = _("Up to %s. It is hashed in memory and not kept.") % _largest()

    def clean_picture(self) -> Any:
        file = self.cleaned_data["picture"]
        if file.size > settings.OPTOUT_MAX_PICTURE:
            raise forms.ValidationError(_("The picture is too large: at most %s.") % _largest())
        return file
