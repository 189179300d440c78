"""Ed25519 key pairs: made, stored as PEM, loaded, used to sign and to check."""

import hashlib
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from optout.errors import BadInput, UsageError

__all__ = ["PUBLIC_NAME", "PrivateKey", "PublicKey", "generate", "load_private", "load_public"]

PRIVATE_NAME = "private.pem"
PUBLIC_NAME = "public.pem"
# A line before the key's block, where PEM has room for text (RFC 7468).
_UNTIL = re.compile(rb"^Valid-Until:[ \t]*(\S+)[ \t]*\r?$", re.MULTILINE)


@dataclass(frozen=True)
class PublicKey:
    """The half of a key pair that checks signatures.

    Attributes:
        key: the key itself.
        until: when whoever trusts it stops to; None for never.
    """

    key: Ed25519PublicKey
    until: datetime | None = None

    @cached_property
    def raw(self) -> bytes:
        """The 32 bytes of the key."""
        return self.key.public_bytes(Encoding.Raw, PublicFormat.Raw)

    @cached_property
    def key_id(self) -> str:
        """SHA-256 of the raw key in hex: how signatures name their key."""
        return hashlib.sha256(self.raw).hexdigest()

    @property
    def pem(self) -> bytes:
        """The key as PEM, as `public.pem` holds it."""
        until = b"" if self.until is None else b"Valid-Until: %b\n" % self.until.isoformat().encode()
        return until + self.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def expired(self, now: datetime | None = None) -> bool:
        """Whether its time is over at `now`, the present if left out."""
        return self.until is not None and (now or datetime.now(UTC)) > self.until

    def verifies(self, signature: bytes, message: bytes) -> bool:
        """Whether `signature` over `message` was made with this pair's private key."""
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True)
class PrivateKey:
    """The half of a key pair that signs."""

    key: Ed25519PrivateKey

    @cached_property
    def public(self) -> PublicKey:
        return PublicKey(self.key.public_key())

    @property
    def key_id(self) -> str:
        return self.public.key_id

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature of `message`; Ed25519 signs the same bytes the same way every time."""
        return self.key.sign(message)


def generate(directory: str | Path, *, valid: timedelta | None = None) -> PrivateKey:
    """Make a key pair and write it to `private.pem` (mode 0600) and `public.pem` in `directory`.

    Args:
        directory: made if it is not there.
        valid: how long from now on its signatures are to be believed; for good if left out.

    Raises:
        UsageError: one of the files is there already (`key_exists`; nothing is overwritten), or the
            directory cannot be written (`unwritable`).
    """
    folder = Path(directory)
    for name in (PRIVATE_NAME, PUBLIC_NAME):
        if (folder / name).exists():
            raise UsageError(
                f"{folder / name} is there already; keys are never overwritten", code="key_exists"
            )
    made = PrivateKey(Ed25519PrivateKey.generate())
    private_pem = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_new(folder / PRIVATE_NAME, private_pem, mode=0o600)
        until = None if valid is None else (datetime.now(UTC) + valid).replace(microsecond=0)
        public = PublicKey(made.public.key, until)
        _write_new(folder / PUBLIC_NAME, public.pem, mode=0o644)
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} is there already; keys are never overwritten", code="key_exists"
        ) from None
    except OSError as error:
        raise UsageError(f"cannot write keys into {folder}: {error.strerror}", code="unwritable") from None
    return made


def _write_new(path: Path, content: bytes, *, mode: int) -> None:
    # O_EXCL rather than a look beforehand: two commands at once must not overwrite each other's key.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)


def load_private(path: str | Path) -> PrivateKey:
    """Read an unencrypted Ed25519 private key in PEM.

    Raises:
        BadInput: no such file (`missing_key`), or it holds no such key (`bad_key`).
    """
    content = _read(path)
    try:
        key = load_pem_private_key(content, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadInput(f"{path} holds no unencrypted PEM private key", code="bad_key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise BadInput(f"{path} holds a private key that is not Ed25519", code="bad_key")
    return PrivateKey(key)


def load_public(path: str | Path) -> PublicKey:
    """Read an Ed25519 public key in PEM, and until when it is valid if a line before it says so.

    Raises:
        BadInput: no such file (`missing_key`), or it holds no such key (`bad_key`).
    """
    content = _read(path)
    try:
        key = load_pem_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        raise BadInput(f"{path} holds no PEM public key", code="bad_key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise BadInput(f"{path} holds a public key that is not Ed25519", code="bad_key")
    return PublicKey(key, _until(content, path))


def _until(content: bytes, path: str | Path) -> datetime | None:
    found = _UNTIL.search(content)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1].decode())
    except ValueError:
        raise BadInput(f"{path}: Valid-Until is no ISO date and time", code="bad_key") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _read(path: str | Path) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise BadInput(f"cannot read the key {path}: {error.strerror}", code="missing_key") from None
