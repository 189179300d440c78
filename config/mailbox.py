"""The mail of embedded mode: kept as files under the data directory and shown on a page.

Whoever reads the sign-in codes is everybody, so the page answers direct requests from this machine only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage as Message
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import path
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from config.loopback import is_loopback

__all__ = ["FolderBackend", "Mail", "read_mails", "show_mails", "urlpatterns"]

SHOWN = 50


@dataclass(frozen=True)
class Mail:
    """One mail as the page shows it."""

    to: str
    subject: str
    date: str
    text: str


class FolderBackend(BaseEmailBackend):
    """Writes each mail to a file of its own in `OPTOUT_MAILBOX`."""

    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Keep the mails; returns how many."""
        folder: Path = settings.OPTOUT_MAILBOX
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for mail in email_messages:
            name = f"{timezone.now():%Y%m%dT%H%M%S.%f}-{uuid4().hex[:8]}"
            temporary = folder / f".{name}"
            temporary.write_bytes(mail.message().as_bytes())
            temporary.rename(folder / f"{name}.eml")
        return len(email_messages)


def read_mails(limit: int = SHOWN) -> list[Mail]:
    """The newest mails, newest first."""
    paths = sorted(settings.OPTOUT_MAILBOX.glob("[!.]*.eml"), reverse=True)[:limit]
    return [_read_mail(path) for path in paths]


def _read_mail(path: Path) -> Mail:
    message = message_from_bytes(path.read_bytes(), _class=Message, policy=policy.default)
    body = message.get_body(("plain",))
    return Mail(
        to=str(message["To"]),
        subject=str(message["Subject"]),
        date=str(message["Date"]),
        text=body.get_content() if body else "",
    )


@never_cache
@require_safe
def show_mails(request: HttpRequest) -> HttpResponse:
    """The page `/mail/`."""
    if not is_loopback(request):
        raise Http404("The mail page is for this machine only.")
    return render(request, "mail/mailbox.html", {"mails": read_mails(), "limit": SHOWN})


urlpatterns = [path("", show_mails, name="mailbox")]
