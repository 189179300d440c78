"""Reading settings: TOML, overrides, and a clear no to everything unknown."""

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

from optout.errors import BadInput, UsageError
from trainer.settings.schema import Settings

__all__ = ["load_settings", "override", "settings_from"]


def load_settings(path: Path | None, overrides: Iterable[str] = ()) -> Settings:
    """The settings of a TOML file (None: the defaults) with `table.key=value` overrides.

    Raises:
        BadInput: no such file (`no_such_file`), or no TOML (`bad_config`).
        UsageError: an unknown key (`unknown_key`) or a value of the wrong kind (`bad_value`).
    """
    content = {} if path is None else _read(path)
    for text in overrides:
        override(content, text)
    return settings_from(content, where="the settings" if path is None else str(path))


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}", code="no_such_file") from None
    except ValueError as error:
        raise BadInput(f"{path} is not TOML: {error}", code="bad_config") from None


def override(content: dict[str, Any], text: str) -> None:
    """Put `table.key=value` into the parsed file; the value is TOML, or taken as text if it is none."""
    path, equals, value = text.partition("=")
    table, dot, key = path.strip().partition(".")
    if not (equals and dot and table and key):
        raise UsageError(f"--set {text!r}: write table.key=value, as in run.steps=100", code="bad_override")
    try:
        parsed = tomllib.loads(f"value = {value.strip()}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value.strip()
    into = content.setdefault(table, {})
    if not isinstance(into, dict):
        raise UsageError(f"{table} is not a table of settings", code="bad_value")
    into[key] = parsed


def settings_from(content: Mapping[str, Any], *, where: str = "the settings") -> Settings:
    """Check parsed settings and fill in the defaults.

    Raises:
        UsageError: `unknown_key`, naming the nearest known one, or `bad_value`.
    """
    tables = {item.name: item for item in fields(Settings)}
    made = {}
    for name, table in content.items():
        _require_known(name, tables, where, "")
        if not isinstance(table, Mapping):
            raise UsageError(f"{where}: {name} must be a table, [{name}]", code="bad_value")
        made[name] = _table(type(tables[name].default), table, where, name)
    return Settings(**made)


def _table(kind: Any, content: Mapping[str, Any], where: str, table: str) -> Any:
    known = {item.name: item for item in fields(kind)}
    hints = get_type_hints(kind)
    made = {}
    for key, value in content.items():
        _require_known(key, known, where, f"{table}.")
        made[key] = _value(value, hints[key], known[key].metadata, f"{where}: {table}.{key}")
    return kind(**made)


def _require_known(key: str, known: Mapping[str, Any], where: str, prefix: str) -> None:
    if key in known:
        return
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.0)
    raise UsageError(
        f"{where}: unknown key {prefix}{key}; did you mean {prefix}{near[0]}?", code="unknown_key"
    )


def _value(value: Any, hint: Any, bounds: Mapping[str, Any], where: str) -> Any:
    """The value in the type that the field wants, within its bounds."""
    if hint in (int, float):
        return _number(value, hint, bounds, where)
    choices = get_args(hint)
    if hint in (bool, str):
        if type(value) is hint:
            return value
    elif Ellipsis in choices:
        if isinstance(value, list | tuple) and all(type(item) is choices[0] for item in value):
            return tuple(value)
        raise UsageError(f"{where} must be a list of {choices[0].__name__}, not {value!r}", code="bad_value")
    elif value in choices:
        return value
    else:
        raise UsageError(f"{where} must be one of {', '.join(choices)}, not {value!r}", code="bad_value")
    raise UsageError(f"{where} must be {hint.__name__}, not {value!r}", code="bad_value")


def _number(value: Any, hint: type, bounds: Mapping[str, Any], where: str) -> Any:
    if type(value) is not int and not (hint is float and type(value) is float):
        raise UsageError(f"{where} must be a number ({hint.__name__}), not {value!r}", code="bad_value")
    least, most = bounds.get("least"), bounds.get("most")
    # Written so that NaN is refused too.
    if not ((least is None or value >= least) and (most is None or value <= most)):
        limits = " and ".join(
            text
            for text in (f"at least {least}" * (least is not None), f"at most {most}" * (most is not None))
            if text
        )
        raise UsageError(f"{where} must be {limits}, not {value!r}", code="bad_value")
    return hint(value)


def as_tables(settings: Settings) -> dict[str, dict[str, Any]]:
    """Settings as plain tables; `settings_from` reads them back."""
    tables = {}
    for item in fields(settings):
        table = getattr(settings, item.name)
        tables[item.name] = {each.name: _plain(getattr(table, each.name)) for each in fields(table)}
    return tables


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
