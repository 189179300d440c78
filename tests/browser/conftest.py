"""A real browser (Debian's chromium, driven by Playwright) against the portal on loopback."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright
from pytest_django import DjangoDbBlocker, Settings
from pytest_django.live_server_helper import LiveServer

if TYPE_CHECKING:
    from registry.models import User

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

NewPage = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium for the tests of one file; meanwhile Playwright keeps an event loop in this thread."""
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    assert path, "the browser tests need chromium: deploy/ensure-chromium installs it"
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        chromium = playwright.chromium.launch(executable_path=path, headless=True, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module", autouse=True)
def _rules_again(django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Leave a connection behind on which the triggers work."""
    yield
    with django_db_blocker.unblock():
        connection.close()


@pytest.fixture(autouse=True)
def _emptied(transactional_db: None) -> Iterator[None]:
    """Start from nothing known, and let the tables be emptied after the test, which the triggers refuse."""
    from registry import live

    live.reset()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = DEFAULT")
    yield
    cache.clear()
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")


@pytest.fixture(autouse=True)
def _own_folders(settings: Settings, tmp_path: Path) -> None:
    settings.DATA = tmp_path / "data"
    settings.OPTOUT_STORAGE = str(settings.DATA / "objects")
    settings.OPTOUT_MAILBOX = settings.DATA / "mail"
    settings.EMAIL_BACKEND = "config.mailbox.FolderBackend"
    settings.DATA.mkdir()


@pytest.fixture
def new_page(browser: Browser, live_server: LiveServer) -> Iterator[NewPage]:
    """Make pages: `new_page(dark=True, width=360, script=False, user=somebody)`.

    A page that logs an error (a blocked style, a missing file) fails its test.
    """
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def make(
        *, dark: bool = False, width: int = 1280, script: bool = True, user: "User | None" = None
    ) -> Page:
        context = browser.new_context(
            base_url=live_server.url,
            color_scheme="dark" if dark else "light",
            viewport={"width": width, "height": 900},
            java_script_enabled=script,
            locale="en-GB",
        )
        contexts.append(context)
        if user is not None:
            context.add_cookies([_session_cookie(user, live_server.url)])
        page = context.new_page()
        page.set_default_timeout(30_000)
        page.set_default_navigation_timeout(90_000)  # the first look-up of all compiles the kernels
        page.on("console", lambda message: errors.append(message.text) if _is_fault(message) else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not errors


@pytest.fixture
def person(transactional_db: None) -> "User":
    """A user with a party of her own."""
    # pytest reads this file before Django is set up, so its models are imported here.
    from allauth.account.models import EmailAddress

    from registry.models import Party, User
    from registry.services.parties import create_party

    user = User.objects.create_user("ada@example.org")
    EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)
    create_party(user, Party.Kind.PERSON, "Ada Lindqvist")
    return user


def _is_fault(message: Any) -> bool:
    # Pages that are meant to be missing, or to refuse, are reported by the browser as well.
    return message.type == "error" and "status of 4" not in message.text


def _session_cookie(user: "User", url: str) -> Any:
    client = Client()
    client.force_login(user)
    name = django_settings.SESSION_COOKIE_NAME
    return {"name": name, "value": client.cookies[name].value, "url": url}
