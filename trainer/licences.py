"""Licences of models: which is taken where none is given, and what has to be said with it.

Derivatives of Stable Diffusion pass its use restrictions on. We name the licence and link its text, say in
our own words what it forbids, or copy the file one gives.
"""

import re
from pathlib import Path
from typing import NamedTuple

from optout.errors import BadInput

__all__ = ["Licence", "licence_of"]


class Licence(NamedTuple):
    """How a model card names a licence.

    Attributes:
        identifier: as model hubs spell it.
        name: for people.
        link: where its text stands; empty if in a file beside the weights, or nowhere.
        says: what a user must know, in Markdown.
    """

    identifier: str
    name: str
    link: str
    says: str


_RESTRICTIONS = """\
The model may be used and shared, also commercially, under conditions that go with it. In our words; the
licence's text decides:

- Who passes the model or anything made from it on passes the same use restrictions on with it, and gives a
copy of the licence.
- It must not be used to break the law, or to exploit or harm minors.
- Not to spread verifiably false information meant to harm, or make personal data that could harm a person.
- Not to defame, harass or discriminate, or to exploit the weaknesses of a group of people.
- Not for fully automated decisions that touch somebody's rights or obligations.
- Not for medical advice, nor for law enforcement, justice, migration or asylum, such as predicting who will
commit fraud or a crime.
- Users are to be told that what they see was made by a machine.
- What is generated belongs to whoever generates it, who answers for its use."""

_KNOWN = {
    "creativeml-openrail-m": Licence(
        "creativeml-openrail-m",
        "CreativeML Open RAIL-M",
        "https://huggingface.co/spaces/CompVis/stable-diffusion-license",
        _RESTRICTIONS,
    ),
    "openrail++": Licence(
        "openrail++",
        "CreativeML Open RAIL++-M",
        "https://huggingface.co/stabilityai/stable-diffusion-2/blob/main/LICENSE-MODEL",
        _RESTRICTIONS,
    ),
    "apache-2.0": Licence(
        "apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0", ""
    ),
    "cc0-1.0": Licence("cc0-1.0", "CC0 1.0", "https://creativecommons.org/publicdomain/zero/1.0/", ""),
    "cc-by-4.0": Licence("cc-by-4.0", "CC BY 4.0", "https://creativecommons.org/licenses/by/4.0/", ""),
    "mit": Licence("mit", "MIT License", "https://opensource.org/license/mit", ""),
}
#: Stable Diffusion 1 is under it, and what is made from it stays so.
_DERIVED = "creativeml-openrail-m"
# In the identifiers of all licences with use restrictions that are passed on.
_RESTRICTED = "rail"


def licence_of(identifier: str, file: str, *, base: Path | None) -> Licence:
    """The licence of a model.

    Args:
        identifier: what the settings say; empty for the default, which is the checkpoint's own where its
            card names one, and Stable Diffusion's where it names none.
        file: its text on this machine; empty for none.
        base: the checkpoint that the model was made from; None from scratch.

    Raises:
        BadInput: the file cannot be read (`no_such_file`).
    """
    if file and not Path(file).is_file():
        raise BadInput(f"output.license_file: {file}: no such file", code="no_such_file")
    if base is not None:
        told = _licence_in(base / "README.md")
        inherited = _named(told or _DERIVED)
        found = _named(identifier) if identifier else inherited
        dropped = _RESTRICTED in inherited.identifier and _RESTRICTED not in found.identifier
        return found._replace(says=_carried(base, inherited, told=told)) if dropped and not file else found
    if identifier:
        return _named(identifier)
    if file:
        return Licence("other", "see LICENSE", "", "")
    return Licence("other", "none given", "", "Nobody was given a licence yet; --license gives one.")


def _named(identifier: str) -> Licence:
    return _KNOWN.get(identifier.lower()) or Licence(identifier, identifier, "", "")


def _licence_in(card: Path) -> str | None:
    """The licence that a card's header names; None if it names none that has a name."""
    if not card.is_file():
        return None
    header = card.read_text("utf-8", "replace").partition("\n---")[0]
    found = re.search(r"^license:[ ]*[\"']?([\w.+-]+)", header, re.MULTILINE)
    return found[1] if found and header.startswith("---") and found[1] != "other" else None


def _carried(base: Path, inherited: Licence, *, told: str | None) -> str:
    """What has to be said where what is made under use restrictions is given another licence."""
    link = f" ({inherited.link})" if inherited.link else ""
    of = "is under" if told else "says of no licence; Stable Diffusion is under"
    return (
        f"The model was made from {base.resolve().name}, which {of} {inherited.name}{link}. The use "
        f"restrictions of that licence stay with whatever is made from it.\n\n{_RESTRICTIONS}"
    )
