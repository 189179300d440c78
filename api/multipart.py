"""Multipart forms with files, and the files in them."""

from typing import Any

from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request

from api.conf import MAX_PICTURES_BODY
from api.problems import Problem, too_large
from registry.services.pictures import SentPicture

__all__ = ["CheckParser", "LimitedParser", "PicturesParser", "require_known", "sent_pictures"]


class LimitedParser(MultiPartParser):
    """Refuses a form that announces more than `limit` bytes before it is read."""

    @property
    def limit(self) -> int:
        """Bytes of the whole form."""
        raise NotImplementedError

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Any = None) -> Any:
        length = stream.META.get("CONTENT_LENGTH") or "0"
        if length.isdecimal() and int(length) > self.limit:
            raise too_large(self.limit)
        return super().parse(stream, media_type, parser_context)


class PicturesParser(LimitedParser):
    """Forms with pictures."""

    @property
    def limit(self) -> int:
        """A hundred pictures of a usual size."""
        return MAX_PICTURES_BODY


class CheckParser(LimitedParser):
    """Forms with pictures that are asked about, no more of them than OPTOUT_MAX_BODY and one picture."""

    @property
    def limit(self) -> int:
        """Bytes of the whole form."""
        body: int = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        most: int = settings.OPTOUT_MAX_PICTURE
        return body + most


def require_known(form: Any, *names: str) -> None:
    """Refuse a form with other fields than these: what is misspelt would be passed over in silence.

    Raises:
        Problem: 400, naming the fields.
    """
    unknown = sorted(set(form) - set(names))
    if unknown:
        sentence = f"There is no such field; there are {', '.join(names)}."
        fields = {name[:100]: [sentence] for name in unknown[:20]}
        raise Problem(400, "invalid", f"Unknown field {unknown[0][:100]!r}.", fields=fields)


def sent_pictures(request: Request, field: str = "pictures") -> list[SentPicture]:
    """The files that the form has under `field`, in order.

    Raises:
        Problem: 400, there is none, or a value under that name is no file (`picture_missing`).
    """
    form: Any = request.data
    files = form.getlist(field)
    if not files or not all(isinstance(file, UploadedFile) for file in files):
        raise Problem(400, "picture_missing", f"Send pictures as files, in the multipart field `{field}`.")
    return [SentPicture(file, file.name or "", file.content_type or "") for file in files]
