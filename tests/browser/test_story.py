"""A creator from first visit to a changed mind, without JavaScript; and the form by keyboard alone."""

import re

from playwright.sync_api import FilePayload, Page, expect

from registry import live
from registry.models import Claim, User
from tests.browser.conftest import NewPage
from tests.server.pictures import jpeg, white
from tests.server.working import worker

PICTURE = "https://www.example.org/pictures/harbour.jpg"
COPY = "https://i0.wp.com/example.org/pictures/harbour-300x200.jpg"


def test_sign_up_opt_out_look_up_and_withdraw_without_javascript(new_page: NewPage) -> None:
    page = new_page(script=False)

    sign_up(page, "mara@example.org")
    page.get_by_label("Your name").fill("Mara Óskarsdóttir")
    page.get_by_role("button", name="Go on").click()
    opt_out(page, PICTURE)
    expect(page.get_by_role("status")).to_contain_text("Your opt-out is recorded")
    claim = page.url

    assert answer_for(page, COPY) == "Denied. Do not use it for this."
    expect(page.get_by_text("A resized copy, through an image proxy")).to_be_visible()
    expect(page.get_by_role("heading", name="Claim by mara-oskarsdottir")).to_be_visible()

    page.goto(claim)
    page.get_by_role("link", name="Withdraw this claim").click()
    page.get_by_role("button", name="Withdraw it").click()
    expect(page.get_by_role("status")).to_contain_text("The claim is withdrawn")
    assert answer_for(page, COPY) == "Nobody has reserved this."
    expect(page.get_by_text("That is not permission.")).to_be_visible()


def test_opt_out_by_sending_pictures_and_find_a_copy_without_javascript(
    new_page: NewPage, person: User
) -> None:
    page = new_page(script=False, user=person)
    page.goto("/opt-out/")
    page.get_by_role("link", name="By picture").click()
    files = {"harbour.jpg": jpeg(1), "blank.png": white()}
    page.get_by_label("Pictures", exact=True).set_input_files(
        [FilePayload(name=name, mimeType="image/jpeg", buffer=data) for name, data in files.items()]
    )
    page.get_by_role("button", name="Send and record").click()
    expect(page.get_by_role("status")).to_contain_text("2 pictures arrived")
    with worker():
        # The page looks again by itself.
        expect(page.get_by_role("heading", name="Everything is done")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("1 recorded, 1 cannot be used")).to_be_visible()
    expect(page.get_by_text("it is too plain")).to_be_visible()

    live.reset()
    page.goto("/lookup/")
    page.get_by_role("link", name="By picture").click()
    copy = FilePayload(name="copy.jpg", mimeType="image/jpeg", buffer=jpeg(1, quality=55))
    page.get_by_label("What does the registry say about this picture?").set_input_files(copy)
    page.get_by_role("button", name="Look up").click()
    expect(page.locator("#answer")).to_contain_text("Denied. Do not use it for this.")
    expect(page.get_by_role("heading", name="Claim by ada-lindqvist")).to_be_visible()


def test_who_has_an_account_signs_in_with_a_code(new_page: NewPage, person: User) -> None:
    page = new_page(script=False)
    page.goto("/claims/")
    page.get_by_label("E-mail address").fill(person.email)
    page.get_by_role("button", name="Send me a code").click()
    enter_code(page)
    expect(page.get_by_role("heading", name="My claims")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("link", name="Sign in")).to_be_visible()


def test_the_form_can_be_filled_by_keyboard_alone(new_page: NewPage, person: User) -> None:
    page = new_page(user=person)
    page.goto("/opt-out/")

    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    assert outlined(page)
    page.keyboard.press("Enter")
    tab_to(page, "id_urls")
    page.keyboard.type(PICTURE)
    tab_to(page, "id_decision_0")
    page.keyboard.press("ArrowDown")  # Only on my terms
    tab_to(page, "id_terms_url")
    page.keyboard.type("https://example.org/terms")
    tab_to(page, "id_uses_4")
    page.keyboard.press("Space")
    tab_to(page, "See what it will match")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Check your opt-out")).to_be_visible()
    tab_to(page, "Record this opt-out")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Your opt-out is recorded")

    claim = Claim.objects.get()
    assert (claim.decision_label, claim.terms_url, claim.use_labels) == (
        "terms",
        "https://example.org/terms",
        ["ai-train", "search"],
    )


def test_the_error_summary_leads_to_the_field(new_page: NewPage, person: User) -> None:
    page = new_page(script=False, user=person)
    page.goto("/opt-out/")
    page.get_by_label("A whole site").fill("co.uk")
    page.get_by_role("button", name="See what it will match").click()
    page.get_by_role("alert").get_by_role("link", name="co.uk belongs to everybody").click()
    assert page.url.endswith("#id_domains")
    expect(page.get_by_label("A whole site")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("A whole site")).to_have_accessible_description(
        re.compile("co.uk belongs to everybody")
    )


def sign_up(page: Page, address: str) -> None:
    page.goto("/")
    page.get_by_role("link", name="Opt out your work").click()
    page.get_by_role("link", name="Make an account").click()
    page.get_by_label("E-mail address").fill(address)
    page.get_by_role("button", name="Send me a code").click()
    enter_code(page)


def enter_code(page: Page) -> None:
    """Read the code on the mail page, go back, and type it."""
    form = page.url
    page.get_by_role("link", name="Read the code on the mail page").click()
    mail = page.get_by_role("article").first.inner_text()
    found = re.search(r"^\s*([A-Z0-9-]{6,12})\s*$", mail, re.MULTILINE)
    assert found, mail
    page.goto(form)
    page.get_by_label("The code from the mail").fill(found[1])
    page.get_by_role("button", name="Go on").click()


def opt_out(page: Page, address: str) -> None:
    page.get_by_label("Addresses of pictures or pages").fill(address)
    page.get_by_role("button", name="See what it will match").click()
    expect(page.get_by_text("copies of it behind image proxies")).to_be_visible()
    page.get_by_role("button", name="Record this opt-out").click()


def answer_for(page: Page, address: str) -> str:
    """What the registry says about the address, asked on the first page; with the newest claims."""
    live.reset()
    page.goto("/")
    page.get_by_label("What does the registry say about this address?").fill(address)
    page.get_by_role("button", name="Look up").click()
    return page.locator("#answer").inner_text()


def focused(page: Page) -> str:
    """The id of what has the focus, or else its text."""
    found: str = page.evaluate("document.activeElement.id || document.activeElement.textContent.trim()")
    return found


def outlined(page: Page) -> bool:
    style: str = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    return style == "solid"


def tab_to(page: Page, wanted: str) -> None:
    """Press Tab until the focus is there; every stop on the way shows its focus."""
    for _ in range(40):
        page.keyboard.press("Tab")
        assert outlined(page), f"no visible focus on {focused(page)}"
        if focused(page) == wanted:
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")
