"""Every page, in light and dark, wide and narrow: axe finds nothing, and nothing scrolls sideways.

With OPTOUT_SCREENSHOTS set to a folder, a picture of each is left there (`make screenshots`).
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from registry.models import User
from registry.rates import take
from tests.browser.conftest import NewPage
from tests.browser.gallery import PAGES, Gallery, fill
from tests.server.pictures import jpeg

pytestmark = pytest.mark.slow

PICTURES = os.environ.get("OPTOUT_SCREENSHOTS")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def send_form(page: Page) -> None:
    page.goto("/opt-out/")
    page.get_by_role("button", name="See what it will match").click()


def preview(page: Page) -> None:
    page.goto("/opt-out/")
    page.get_by_label("Addresses of pictures or pages").fill(
        "http://www.example.org/pictures/harbour-1024x683.jpg?utm_source=mail\n"
        "https://i0.wp.com/example.org/pictures/dunes.jpg\njavascript:void(0)"
    )
    page.get_by_label("A whole site").fill("example.org\nco.uk")
    page.get_by_label("A name in captions").fill("Ada Lindqvist")
    page.get_by_role("button", name="See what it will match").click()
    page.get_by_role("heading", name="lines will be recorded").wait_for()


def make_key(page: Page) -> None:
    page.goto("/keys/new/")
    page.get_by_label("Name").fill("Publishing script")
    page.get_by_role("button", name="Make the key").click()
    page.locator("#secret").wait_for()


def ask_for_code(page: Page) -> None:
    page.goto("/accounts/signup/")
    page.get_by_label("E-mail").fill("someone@example.org")
    page.get_by_role("button", name="Send me a code").click()
    page.get_by_label("The code from the mail").wait_for()


def look_up(page: Page, data: bytes) -> None:
    page.goto("/lookup/picture/")
    page.get_by_label("What does the registry say about this picture?").set_input_files(
        {"name": "found-on-a-blog.jpg", "mimeType": "image/jpeg", "buffer": data}
    )
    page.get_by_role("button", name="Look up").click()
    page.wait_for_load_state()


def ask_too_often(page: Page) -> None:
    while not take("lookup", "127.0.0.1"):
        pass
    page.goto("/lookup/?url=https://example.org/pictures/harbour.jpg")
    page.get_by_role("alert").wait_for()


def leave_uses_out(page: Page) -> None:
    page.goto("/opt-out/")
    page.get_by_label("A name in captions").fill("Ada Lindqvist")
    page.get_by_label("Training any AI model").uncheck()
    page.get_by_role("button", name="See what it will match").click()
    page.get_by_role("alert").wait_for()


def send_no_pictures(page: Page) -> None:
    page.goto("/opt-out/pictures/")
    page.get_by_role("button", name="Send and record").click()
    page.get_by_role("alert").wait_for()


# name: (who, what she does to come there)
STEPS: dict[str, tuple[str, Callable[[Page], None]]] = {
    "opt-out-errors": ("person", send_form),
    "opt-out-preview": ("person", preview),
    "opt-out-no-uses": ("person", leave_uses_out),
    "key-made": ("person", make_key),
    "opt-out-pictures-errors": ("person", send_no_pictures),
    "lookup-picture-denied": ("nobody", lambda page: look_up(page, jpeg(1, 200, quality=60))),
    "lookup-picture-unreserved": ("nobody", lambda page: look_up(page, jpeg(77))),
    "lookup-picture-unreadable": ("nobody", lambda page: look_up(page, b"no picture")),
    "code": ("nobody", ask_for_code),
    "mail-with-code": ("nobody", lambda page: page.get_by_role("link", name="Read the code").click()),
    "lookup-too-often": ("nobody", ask_too_often),
}


@pytest.fixture
def gallery(person: User) -> Gallery:
    return fill(person)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_axe_finds_nothing_on_any_page(new_page: NewPage, person: User, gallery: Gallery, dark: bool) -> None:
    faults = {}
    for name, page in visit(new_page, person, gallery, dark=dark, width=1280):
        result = Axe().run(page, options={"runOnly": RULES})
        if result.violations_count:
            faults[name] = result.generate_report()
    assert not faults, "\n".join(f"--- {name}\n{report}" for name, report in faults.items())


@pytest.mark.parametrize(
    "dark", [False, True] if PICTURES else [False], ids=["light", "dark"][: 2 if PICTURES else 1]
)
def test_nothing_scrolls_sideways_at_360_pixels(
    new_page: NewPage, person: User, gallery: Gallery, dark: bool
) -> None:
    wide = {}
    for name, page in visit(new_page, person, gallery, dark=dark, width=360):
        width = page.evaluate("document.documentElement.scrollWidth")
        if width > 360:
            wide[name] = width
    assert not wide


def visit(
    new_page: NewPage, person: User, gallery: Gallery, *, dark: bool, width: int
) -> Iterator[tuple[str, Page]]:
    """Each page's name and the page, open."""
    users = {"nobody": None, "person": person, "newcomer": gallery.newcomer, "beginner": gallery.beginner}
    browsers = {who: new_page(dark=dark, width=width, user=user) for who, user in users.items()}
    for name, (who, address) in PAGES.items():
        browsers[who].goto(address(gallery))
        yield _pictured(name, browsers[who], dark)
    for name, (who, come_there) in STEPS.items():
        come_there(browsers[who])
        yield _pictured(name, browsers[who], dark)


def _pictured(name: str, page: Page, dark: bool) -> tuple[str, Page]:
    if PICTURES:
        theme, size = ("dark" if dark else "light"), page.viewport_size or {"width": 0}
        Path(PICTURES).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=Path(PICTURES, f"{name}-{theme}-{size['width']}.png"), full_page=True)
    return name, page
