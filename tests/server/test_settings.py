"""Settings: nothing but the environment, loud when something is missing, safe outside embedded mode."""

import os
import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from config.environment import VARIABLES, Environment

ROOT = Path(__file__).resolve().parents[2]
PRODUCTION = {
    "DATABASE_URL": "postgres://optout:pw@db.example:5433/registry",
    "REDIS_URL": "redis://cache.example:6379/0",
    "SECRET_KEY": "a secret",
    "OPTOUT_KEY_PEPPER": "a pepper",
    "OPTOUT_SIGNING_KEY": "/run/secrets/private.pem",
    "OPTOUT_URL": "https://registry.example",
    "ALLOWED_HOSTS": "registry.example, www.registry.example",
    "EMAIL_URL": "smtp+tls://user:pw@mail.example:587",
}


def _settings(monkeypatch: pytest.MonkeyPatch, data: Path, **env: str) -> dict[str, Any]:
    """The settings module as it comes out of an environment with nothing else in it."""
    for variable in VARIABLES:
        monkeypatch.delenv(variable.name, raising=False)
    for name, value in {"OPTOUT_DATA": str(data), **env}.items():
        monkeypatch.setenv(name, value)
    return runpy.run_path(str(ROOT / "config" / "settings.py"))


def test_nothing_configured_means_embedded_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = _settings(monkeypatch, tmp_path)
    assert settings["EMBEDDED"]
    assert settings["DEBUG"] is False
    assert settings["EMAIL_BACKEND"] == "config.mailbox.FolderBackend"
    assert settings["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]
    assert "not-running" in settings["DATABASES"]["default"]["HOST"]


def test_embedded_secrets_are_made_once_and_kept_private(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = _settings(monkeypatch, tmp_path)
    second = _settings(monkeypatch, tmp_path)
    other = _settings(monkeypatch, tmp_path / "other")
    for name in ("SECRET_KEY", "OPTOUT_KEY_PEPPER"):
        assert len(first[name]) > 40
        assert first[name] == second[name] != other[name]
    files = [*(tmp_path / "secrets").iterdir(), first["OPTOUT_SIGNING_KEY"]]
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert first["OPTOUT_SIGNING_KEY"].read_bytes() == second["OPTOUT_SIGNING_KEY"].read_bytes()


def test_everything_configured_is_no_embedded_mode(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = _settings(monkeypatch, tmp_path, **PRODUCTION)
    assert not settings["EMBEDDED"]
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert settings["SECURE_SSL_REDIRECT"]
    assert settings["SECURE_HSTS_SECONDS"] > 0
    assert settings["ALLOWED_HOSTS"] == ["registry.example", "www.registry.example"]
    assert settings["CSRF_TRUSTED_ORIGINS"] == ["https://registry.example"]
    assert settings["EMAIL_HOST"] == "mail.example"
    assert settings["DATABASES"]["default"]["PORT"] == 5433
    assert settings["CELERY_BROKER_URL"] == PRODUCTION["REDIS_URL"]
    assert not (tmp_path / "secrets").exists()
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("missing", sorted(PRODUCTION.keys() - {"DATABASE_URL", "REDIS_URL"}))
def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str) -> None:
    env = {name: value for name, value in PRODUCTION.items() if name != missing}
    with pytest.raises(ImproperlyConfigured, match=missing):
        _settings(monkeypatch, tmp_path, **env)


def test_who_only_answers_needs_no_signing_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    env = {name: value for name, value in PRODUCTION.items() if name != "OPTOUT_SIGNING_KEY"}
    settings = _settings(monkeypatch, tmp_path, **env, OPTOUT_TRUSTED_KEYS="/etc/new.pem, /etc/old.pem")
    assert settings["OPTOUT_SIGNING_KEY"] is None
    assert settings["OPTOUT_TRUSTED_KEYS"] == [Path("/etc/new.pem"), Path("/etc/old.pem")]


def test_the_parts_are_replaced_one_by_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    settings = _settings(monkeypatch, tmp_path, DATABASE_URL=PRODUCTION["DATABASE_URL"])
    assert settings["EMBEDDED"]
    assert settings["DATABASES"]["default"]["HOST"] == "db.example"
    settings = _settings(monkeypatch, tmp_path, REDIS_URL=PRODUCTION["REDIS_URL"])
    assert settings["EMBEDDED"]
    assert settings["CACHES"]["default"]["LOCATION"] == PRODUCTION["REDIS_URL"]
    settings = _settings(monkeypatch, tmp_path, OPTOUT_STORAGE="s3://bucket/prefix")
    assert settings["OPTOUT_STORAGE"] == "s3://bucket/prefix"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("OPTOUT_MAX_BODY", "much"),
        ("OPTOUT_MAX_BODY", "0"),
        ("NUM_PROXIES", "-1"),
        ("OPTOUT_EMBEDDED", "perhaps"),
        ("OPTOUT_URL", "registry.example"),
        ("DATABASE_URL", "mysql://root@localhost/registry"),
    ],
)
def test_a_wrong_value_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=name):
        _settings(monkeypatch, tmp_path, **{name: value})


def test_a_secret_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from a file\n")
    env = {name: value for name, value in PRODUCTION.items() if name != "SECRET_KEY"}
    settings = _settings(monkeypatch, tmp_path, **env, SECRET_KEY_FILE=str(tmp_path / "secret"))
    assert settings["SECRET_KEY"] == "from a file"


def test_a_secret_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    env = Environment({"SECRET_KEY_FILE": str(tmp_path / "none")})
    with pytest.raises((ImproperlyConfigured, OSError), match="none"):
        env.text("SECRET_KEY")


def test_a_variable_that_is_not_listed_cannot_be_read() -> None:
    with pytest.raises(KeyError):
        Environment({"SURPRISE": "1"}).text("SURPRISE")


def test_a_forwarded_address_is_believed_only_behind_proxies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert _settings(monkeypatch, tmp_path, **PRODUCTION)["SECURE_PROXY_SSL_HEADER"] is None
    behind = _settings(monkeypatch, tmp_path, **PRODUCTION, NUM_PROXIES="1")
    assert behind["SECURE_PROXY_SSL_HEADER"] == ("HTTP_X_FORWARDED_PROTO", "https")
    assert behind["NUM_PROXIES"] == 1


def test_the_documentation_lists_the_variables_there_are() -> None:
    text = (ROOT / "docs" / "running.md").read_text()
    rows = re.findall(r"^\| `([A-Z_0-9]+)` \| (.*?) \| (.*?) \|$", text, flags=re.MULTILINE)
    shown = {variable.name: variable.default for variable in VARIABLES}
    assert {name: default.strip("`") for name, default, _ in rows} == shown
    assert {name: meaning for name, _, meaning in rows} == {one.name: one.meaning for one in VARIABLES}


def test_the_deployment_files_use_known_variables_only() -> None:
    known = {variable.name for variable in VARIABLES}
    known |= {f"{name}_FILE" for name in known}
    for path in (ROOT / "deploy").iterdir():
        used = set(re.findall(r"^\s*-?\s*([A-Z][A-Z_]+)[:=]", path.read_text(), flags=re.MULTILINE))
        ours = {name for name in used if name.startswith("OPTOUT") or name in known}
        assert ours <= known, path


def test_these_tests_themselves_run_without_the_persons_settings() -> None:
    assert os.environ["OPTOUT_EMBEDDED"] == "1"
    assert "optout-tests-" in os.environ["OPTOUT_DATA"]
