"""Opting out in the portal: what is shown before, what is recorded, what is refused and why."""

from typing import Any

import pytest

from optout.words import Decision, Grade, Use
from registry.models import Claim
from registry.portal.lines import MOST_LINES
from tests.server.parties import person, prove
from tests.server.portal import form_data, signed_in, text_of

pytestmark = pytest.mark.django_db


def test_the_preview_says_what_each_line_will_match_and_records_nothing() -> None:
    page = signed_in(person()).post(
        "/opt-out/",
        form_data(
            urls="http://www.example.org/a-300x200.jpg?utm_source=x\nhttps://i0.wp.com/example.org/b.jpg",
            prefixes="https://example.org/gallery/",
            domains="Example.ORG",
            names="Zoë Ahl",
        ),
    )
    text = text_of(page)
    assert page.status_code == 200
    assert "5 lines will be recorded" in text
    assert "https://example.org/a-300x200.jpg Address You wrote http://www.example.org/a-300x200" in text
    assert "Every other size of the same picture" in text
    assert "To cover the original, add https://example.org/b.jpg." in text
    assert "Everything whose address begins with https://example.org/gallery/" in text
    assert "Every page and file on example.org and on its sub-domains" in text
    assert "A domain you name here is not yet proven to be yours" in text
    assert "as whole words, whatever the capitals and accents" in text
    assert "Training any AI model (and with it Training generative AI)" in text
    assert not Claim.objects.exists()


def test_refused_lines_are_left_out_with_their_reason_and_the_rest_is_recorded() -> None:
    client, data = (
        signed_in(person()),
        form_data(urls="https://a.example/1.jpg\njavascript:x", domains="co.uk"),
    )
    text = text_of(client.post("/opt-out/", data))
    assert "2 lines are left out" in text
    assert "Only addresses of the web are taken: they begin with https:// or http://." in text
    assert "co.uk belongs to everybody" in text
    assert "1 line will be recorded" in text

    client.post("/opt-out/", {**data, "step": "record"})
    assert [selector.value for selector in Claim.objects.get().selectors.all()] == ["a.example/1.jpg"]


@pytest.mark.parametrize(
    ("field", "line", "sentence"),
    [
        ("urls", "*", "Only addresses of the web are taken"),
        ("urls", "https://exa mple/a", "There is no such site name."),
        ("urls", "https://a.example:99999/", "The number after the colon is not a port."),
        ("prefixes", "/gallery", "Only addresses of the web are taken"),
        ("prefixes", "https://a.example/" + "x" * 9000, "The address is too long"),
    ],
)
def test_what_is_no_address_is_told_in_a_persons_words(field: str, line: str, sentence: str) -> None:
    text = text_of(signed_in(person()).post("/opt-out/", form_data(**{field: line})))
    assert sentence in text
    assert "ocator" not in text


@pytest.mark.parametrize(
    ("field", "line", "said"),
    [
        ("urls", "https://a.example/*.jpg", True),
        ("prefixes", "https://a.example/gallery/*", True),
        ("prefixes", "https://a.example/gallery", False),
    ],
)
def test_a_star_is_said_to_stand_for_itself(field: str, line: str, said: bool) -> None:
    text = text_of(signed_in(person()).post("/opt-out/", form_data(**{field: line})))
    assert ("The star stands for itself" in text) == said


def test_a_repeated_line_is_recorded_once() -> None:
    client, data = signed_in(person()), form_data(urls="https://a.example/1.jpg\nhttp://www.a.example/1.jpg")
    assert "Says the same as a line above" in text_of(client.post("/opt-out/", data))
    client.post("/opt-out/", {**data, "step": "record"})
    assert Claim.objects.get().selectors.count() == 1


def test_recording_leads_to_the_claim_and_says_so() -> None:
    actor = person()
    data = form_data(
        "record",
        urls="https://a.example/1.jpg",
        decision="terms",
        terms_url="a.example/terms",
        uses=["ai-train", "search"],
        title="Spring",
    )
    page = signed_in(actor).post("/opt-out/", data, follow=True)
    claim = Claim.objects.get()
    assert page.redirect_chain == [(f"/claims/{claim.public_id}/", 302)]
    assert "Your opt-out is recorded." in text_of(page)
    assert (claim.party, claim.decision, claim.uses) == (
        actor.party,
        Decision.TERMS,
        Use.AI_TRAIN | Use.SEARCH,
    )
    assert (claim.terms_url, claim.title, claim.grade) == ("https://a.example/terms", "Spring", Grade.STATED)


def test_pressing_twice_records_once() -> None:
    client, data = signed_in(person()), form_data("record", urls="https://a.example/1.jpg")
    first, second = client.post("/opt-out/", data), client.post("/opt-out/", data)
    assert first["Location"] == second["Location"]
    assert Claim.objects.count() == 1


def test_terms_are_kept_only_for_the_decision_that_needs_them() -> None:
    data = form_data("record", urls="https://a.example/1.jpg", terms_url="https://a.example/terms")
    signed_in(person()).post("/opt-out/", data)
    assert Claim.objects.get().terms_url == ""


def test_going_back_keeps_everything_that_was_written() -> None:
    data = form_data("edit", urls="https://a.example/1.jpg\nnonsense://x", names="Zoë Ahl", uses=["search"])
    page = signed_in(person()).post("/opt-out/", data)
    assert page.status_code == 200
    form = page.context["form"]
    assert form["urls"].value() == data["urls"]
    assert "nonsense://x" in page.content.decode()
    assert not Claim.objects.exists()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Write at least one address, path, domain or name."),
        ({"urls": "  \n \n"}, "Write at least one address, path, domain or name."),
        ({"domains": "co.uk\n*"}, "co.uk belongs to everybody: other people have their sites under it."),
        ({"urls": "data:image/png;base64,AAAA"}, "data:image/png;base64,AAAA: Only addresses of the web"),
        ({"urls": "https://a.example/", "uses": []}, "Tick at least one use."),
        (
            {"urls": "https://a.example/", "decision": "terms"},
            "Give the address where your terms can be read.",
        ),
        ({"urls": "https://a.example/", "decision": "maybe"}, "Select a valid choice."),
        ({"urls": "https://a.example/", "uses": ["everything"]}, "Select a valid choice."),
        ({"urls": "https://a.example/", "title": "x" * 501}, "at most 500 characters"),
        ({"urls": "\n".join(f"https://a.example/{n}" for n in range(MOST_LINES + 1))}, "1,000 lines at most"),
    ],
)
@pytest.mark.parametrize("step", ["preview", "record"])
def test_what_cannot_be_recorded_is_said_at_its_field_and_at_the_top(
    step: str, fields: dict[str, Any], sentence: str
) -> None:
    page = signed_in(person()).post("/opt-out/", form_data(step, **fields))
    assert page.status_code == 400
    body = page.content.decode()
    assert 'role="alert"' in body
    assert 'aria-invalid="true"' in body
    assert text_of(page).count(sentence) >= 2
    assert not Claim.objects.exists()


def test_anothers_proven_domain_is_refused_and_nothing_is_recorded() -> None:
    prove(person("Bo Berg"), "berg.example")
    data = form_data("record", urls="https://berg.example/1.jpg\nhttps://a.example/1.jpg")
    page = signed_in(person()).post("/opt-out/", data)
    assert page.status_code == 409
    assert "Another party has proven that berg.example is theirs." in text_of(page)
    assert not Claim.objects.exists()
