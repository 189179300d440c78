"""How uploaded files reach the disk."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler

__all__ = ["LimitedFiles"]

_MIB = 1 << 20
#: Pages that everybody may send a file to, and one picture is all they take.
_OPEN_PAGES = ("/lookup/",)
_FORM_BYTES = 512 * _MIB


class LimitedFiles(TemporaryFileUploadHandler):
    """Every file goes to disk at once; a page refuses more than it takes before a byte of it is kept.

    Parties may send a hundred pictures of a usual size; the API, which takes imports, has limits of its own.
    """

    def handle_raw_input(
        self,
        input_data: Any,
        META: dict[str, str],  # noqa: N803 -- Django's name
        content_length: int,
        boundary: str,
        encoding: str | None = None,
    ) -> None:
        """Refuse a form that announces too much."""
        path = self.request.path if self.request is not None else ""
        if path.startswith("/api/"):
            return
        most = settings.OPTOUT_MAX_PICTURE + _MIB if path.startswith(_OPEN_PAGES) else _FORM_BYTES
        if content_length > most:
            raise RequestDataTooBig(f"The form has {content_length:,} bytes; {most:,} are taken.")
