"""What every template and style sheet keeps to: translatable texts, no style or script, one palette."""

import re
from pathlib import Path

import pytest
from django.conf import settings

TEMPLATES = sorted((settings.BASE_DIR / "templates").rglob("*.html"))
SHEETS = sorted((settings.BASE_DIR / "static" / "css").glob("*.css"))
NAMES = {"Optout Registry", "· Optout Registry", "SHA-256", "Authorization: Bearer …", "example.org/ gallery"}
NAMES |= {"ada-lindqvist"}
MARKED = re.compile(
    r"{% blocktranslate.*?{% endblocktranslate %}|{% comment %}.*?{% endcomment %}", re.DOTALL
)
# Class names inside an attribute are no text, though a block may stand there.
CLASSES = re.compile(r"{% block wrap_class %}.*?{% endblock\b", re.DOTALL)
OUTSIDE_TEXT = re.compile(r"{%.*?%}|{{.*?}}|{#.*?#}", re.DOTALL)
TAG = re.compile(r"<[^>]*>", re.DOTALL)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_every_text_goes_through_gettext(path: Path) -> None:
    source = OUTSIDE_TEXT.sub(" ", CLASSES.sub(" ", MARKED.sub(" ", path.read_text())))
    texts = {" ".join(text.split()) for text in TAG.split(source.replace("<wbr>", " "))}
    assert {text for text in texts if re.search(r"[A-Za-z]{2}", text)} <= NAMES


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(settings.BASE_DIR)))
def test_no_template_has_style_or_script(path: Path) -> None:
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", path.read_text())


@pytest.mark.parametrize("path", SHEETS, ids=lambda path: path.name)
def test_only_the_tokens_name_colours(path: Path) -> None:
    text = path.read_text()
    colours = re.findall(r"#[0-9a-fA-F]{3,8}\b|\brgba?\(|\bhsla?\(|\boklch\(", text)
    assert bool(colours) == (path.name == "tokens.css")
    assert len(text.splitlines()) < 400


def test_every_token_that_is_used_is_defined() -> None:
    text = "".join(path.read_text() for path in SHEETS)
    used, defined = set(re.findall(r"var\((--[\w-]+)", text)), set(re.findall(r"(--[\w-]+)\s*:", text))
    assert used <= defined
    assert defined <= used
