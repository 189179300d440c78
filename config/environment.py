"""The environment variables of the service: their names, kinds, defaults and meanings.

Settings read nothing that is not listed here, and docs/running.md is tested against this list.
*Required* means outside embedded mode.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured
from environ.fileaware_mapping import FileAwareMapping

__all__ = ["VARIABLES", "Environment", "Variable"]


@dataclass(frozen=True)
class Variable:
    """One variable.

    Attributes:
        name: its name; `NAME_FILE` names a file that holds the value instead.
        meaning: one sentence for docs/running.md.
        default: what holds when it is not set, as text; "" means nothing.
    """

    name: str
    meaning: str
    default: str = ""


VARIABLES = (
    Variable("OPTOUT_DATA", "Folder for everything the service keeps on disk.", "./var"),
    Variable(
        "OPTOUT_EMBEDDED", "`1`: one machine, one person. Default: while one of the next two is missing."
    ),
    Variable("DATABASE_URL", "`postgres://user:password@host:5432/name`. Embedded: the bundled PostgreSQL."),
    Variable("REDIS_URL", "`redis://host:6379/0`, Valkey or Redis. Embedded: the bundled Valkey."),
    Variable("OPTOUT_STORAGE", "A folder, or `s3://bucket/prefix`. Default: `objects` under `OPTOUT_DATA`."),
    Variable(
        "OPTOUT_S3_ENDPOINT", "Address of an S3 server other than Amazon's; boto3 reads `AWS_…` itself."
    ),
    Variable("OPTOUT_HOST", "Address the web server listens on.", "127.0.0.1"),
    Variable("OPTOUT_PORT", "Port the web server listens on; `0` takes a free one.", "8000"),
    Variable("OPTOUT_URL", "The public address, `https://registry.example`. *Required.*"),
    Variable("OPTOUT_WEB_WORKERS", "Web server processes.", "2"),
    Variable("OPTOUT_WEB_THREADS", "Threads in each of them.", "4"),
    Variable("OPTOUT_TASK_WORKERS", "Celery worker processes.", "2"),
    Variable("SECRET_KEY", "Django's secret. *Required.* Embedded: generated."),
    Variable("OPTOUT_KEY_PEPPER", "Secret in the digests of API keys. *Required.* Embedded: generated."),
    Variable(
        "OPTOUT_SIGNING_KEY", "Path of the Ed25519 key (PEM) for snapshots. *Required.* Embedded: generated."
    ),
    Variable(
        "OPTOUT_TRUSTED_KEYS",
        "Paths of the public keys (PEM) that snapshots may be signed with, with commas. Default: the public "
        "half of the signing key. A web server that has it set needs no signing key.",
    ),
    Variable("ALLOWED_HOSTS", "Host names served, with commas. *Required.*", "localhost,127.0.0.1,[::1]"),
    Variable("NUM_PROXIES", "How many proxies stand before the web server and are believed.", "0"),
    Variable("OPTOUT_MAX_BODY", "Largest request body held in memory, bytes.", "16777216"),
    Variable(
        "OPTOUT_MAX_UPLOAD", "Largest uploaded claim exchange file, bytes, also once unpacked.", "4294967296"
    ),
    Variable("OPTOUT_MAX_PICTURE", "Largest picture taken, bytes.", "52428800"),
    Variable(
        "OPTOUT_MOST_WAITING",
        "Pictures that may wait to be hashed and embedded; more are refused for the moment.",
        "20000",
    ),
    Variable("OPTOUT_HASH_WORKERS", "Processes that hash and fetch pictures.", "1"),
    Variable(
        "OPTOUT_CLIP_MODEL",
        "Model that embeds pictures: `ViT-B/32`, `ViT-L/14`, or the path of a checkpoint. Default: none.",
    ),
    Variable(
        "OPTOUT_CLIP_DEVICES",
        "Devices that embed, with commas, such as `cuda:0,cuda:1`; one process each. Default: the best one.",
    ),
    Variable(
        "OPTOUT_FETCH_ALLOW",
        "Addresses with ports, `10.0.0.7:8080` with commas, that pictures may be fetched from although they "
        "are not public.",
    ),
    Variable(
        "OPTOUT_FLOOD_SAMPLE",
        "File with the fingerprints and embeddings of unrelated pictures, one a line. "
        "Default: what others uploaded lately.",
    ),
    Variable(
        "OPTOUT_FLOOD_SHARE",
        "A claim by a hash that matches more than this share of the sample waits for an operator.",
        "0.001",
    ),
    Variable("OPTOUT_STATEMENT_TIMEOUT", "Seconds a statement may run, 0 for ever. Web server: 15.", "0"),
    Variable("OPTOUT_LOCK_TIMEOUT", "Seconds a statement waits for a lock, 0 for ever. Web server: 5.", "0"),
    Variable("OPTOUT_METRICS_TOKEN", "Bearer token for `/metrics`. Without it only this machine reads them."),
    Variable("EMAIL_URL", "`smtp+tls://user:password@host:587`. *Required.* Embedded: the page `/mail/`."),
    Variable("DEFAULT_FROM_EMAIL", "Sender of the registry's mail.", "registry@localhost"),
    Variable("OPTOUT_LOG_LEVEL", "`DEBUG`, `INFO`, `WARNING` or `ERROR`.", "INFO"),
)
_DEFAULTS = {variable.name: variable.default for variable in VARIABLES}


class Environment:
    """Typed reading of VARIABLES; asking for a name that is not listed is a programming error."""

    def __init__(self, source: Mapping[str, str] | None = None) -> None:
        self._values = FileAwareMapping(env=dict(os.environ if source is None else source))

    def has(self, name: str) -> bool:
        """Is the variable set to something, directly or through its file?"""
        return self.text(name, "") != ""

    def text(self, name: str, default: str | None = None) -> str:
        """The value, else `default`, else the default of VARIABLES.

        Raises:
            ImproperlyConfigured: the file named by `NAME_FILE` cannot be read.
        """
        listed = _DEFAULTS[name]
        try:
            value: str = self._values.get(name, "")
        except OSError as error:
            raise ImproperlyConfigured(f"{name}_FILE cannot be read: {error}") from error
        return value.strip() or (listed if default is None else default)

    def required(self, name: str, why: str) -> str:
        """The value of a variable that has to be set.

        Raises:
            ImproperlyConfigured: it is not set.
        """
        value = self.text(name, "")
        if not value:
            raise ImproperlyConfigured(f"Set {name} or {name}_FILE: {why}.")
        return value

    def integer(self, name: str, *, least: int = 0) -> int:
        """A whole number of at least `least`.

        Raises:
            ImproperlyConfigured: the value is something else.
        """
        value = self.text(name)
        if not value.isdecimal() or int(value) < least:
            raise ImproperlyConfigured(f"{name} must be a whole number of at least {least}, not {value!r}.")
        return int(value)

    def share(self, name: str) -> float:
        """A number above 0 and at most 1.

        Raises:
            ImproperlyConfigured: the value is something else.
        """
        value = self.text(name)
        try:
            share = float(value)
        except ValueError:
            share = 0.0
        if not 0 < share <= 1:
            raise ImproperlyConfigured(f"{name} must be a number above 0 and at most 1, not {value!r}.")
        return share

    def flag(self, name: str, *, default: bool) -> bool:
        """`1`, `true`, `yes`, `on` or their opposites.

        Raises:
            ImproperlyConfigured: the value is something else.
        """
        value = self.text(name, "").lower()
        if value in {"1", "true", "yes", "on"}:
            return True
        if value in {"0", "false", "no", "off"}:
            return False
        if value:
            raise ImproperlyConfigured(f"{name} must be 1 or 0, not {value!r}.")
        return default

    def words(self, name: str) -> list[str]:
        """The parts of a comma-separated value."""
        return [word.strip() for word in self.text(name).split(",") if word.strip()]
