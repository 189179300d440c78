"""Settings as a commented TOML file."""

import json
from dataclasses import fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

from trainer.settings.schema import Settings

__all__ = ["template"]

_HEAD = """\
# A run of the trainer: python -m trainer train --config THIS --data … --receipt … --trust … --out …
# Every key may be left out, and is then what `trainer init` writes. --set table.key=value overrides.
"""


def template(settings: Settings | None = None) -> str:
    """The settings as TOML, each key with what it does."""
    settings = settings or Settings()
    parts = [_HEAD]
    for item in fields(settings):
        table = getattr(settings, item.name)
        parts.append(f"\n# {(type(table).__doc__ or '').strip()}\n[{item.name}]\n")
        hints = get_type_hints(type(table))
        for each in fields(table):
            line = f"{each.name} = {_toml(getattr(table, each.name))}"
            parts.append(f"{line:<34}  # {_said(each.metadata['says'], hints[each.name])}\n")
    return "".join(parts)


def _said(says: str, hint: Any) -> str:
    """The comment; the values that there are, where it does not name them all."""
    choices = get_args(hint) if get_origin(hint) is Literal else ()
    return says if all(choice in says for choice in choices) else f"{says}: {', '.join(choices)}"


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_toml(item) for item in value)}]"
    # JSON's spelling of text, numbers and booleans is TOML's.
    return json.dumps(value, ensure_ascii=False)
