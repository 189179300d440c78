"""How uploaded files reach the disk."""

from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.files.uploadhandler import TemporaryFileUploadHandler

from registry.services.pictures import MOST_BYTES_AT_ONCE

__all__ = ["LimitedFiles", "most_bytes"]

#: What the fields beside the files may have.
ENVELOPE = 1 << 20
#: Pages that everybody may send a file to, and one picture is all they take.
_OPEN_PAGES = ("/lookup/",)


def most_bytes(path: str) -> int:
    """Bytes of the files that the page at `path` takes in one form."""
    return settings.OPTOUT_MAX_PICTURE if path.startswith(_OPEN_PAGES) else MOST_BYTES_AT_ONCE


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
        most = most_bytes(path) + ENVELOPE
        if content_length > most:
            raise RequestDataTooBig(f"The form has {content_length:,} bytes; {most:,} are taken.")
