"""DSSE: signed envelopes around bytes of a stated type (github.com/secure-systems-lab/dsse, version 1.0.2).

The envelope carries its payload, so that what was checked is what is used. Written over `cryptography` in a
screenful, because the reader here is stricter than a general one: base64 has one spelling, and a key that is
named must be the one that verifies.
"""

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from optout.errors import DoesNotHold
from optout.keys import PrivateKey, PublicKey

__all__ = ["Envelope", "open_envelope", "pre_authentication_encoding", "read_envelope", "sign"]


@dataclass(frozen=True)
class Envelope:
    """A parsed envelope; nothing in it is trusted before `payload_trusted_by` says so."""

    payload: bytes
    payload_type: str
    signatures: tuple[tuple[str, bytes], ...]

    def to_bytes(self) -> bytes:
        """The one way this envelope is written: JSON with sorted keys and no spaces."""
        signatures = [{"keyid": key_id, "sig": _encode(signature)} for key_id, signature in self.signatures]
        content = {
            "payload": _encode(self.payload),
            "payloadType": self.payload_type,
            "signatures": signatures,
        }
        return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()

    def payload_trusted_by(self, trusted: Sequence[PublicKey]) -> tuple[bytes, PublicKey]:
        """The payload, and the trusted key that signed it.

        Raises:
            DoesNotHold: no signature names a trusted key (`unknown_key`), or one does and does not verify
                (`bad_signature`), or the key's time is over (`expired_key`): when a signature was made is
                only the signer's word.
        """
        message = pre_authentication_encoding(self.payload_type, self.payload)
        # Of a key that is given twice the one that is still valid counts.
        keys = {key.key_id: key for key in sorted(trusted, key=lambda key: not key.expired())}
        named = [(keys[key_id], signature) for key_id, signature in self.signatures if key_id in keys]
        # Other tools may leave the key id out; then every trusted key is tried.
        named += [(key, signature) for key_id, signature in self.signatures if not key_id for key in trusted]
        good = [key for key, signature in named if key.verifies(signature, message)]
        for key in good:
            if not key.expired():
                return self.payload, key
        if good:
            raise DoesNotHold(
                f"signed by a key that expired on {good[0].until:%Y-%m-%d} ({good[0].key_id[:16]})",
                code="expired_key",
            )
        if named:
            raise DoesNotHold(
                "the signature does not verify: the content or the signature was changed",
                code="bad_signature",
            )
        signers = ", ".join(key_id[:16] for key_id, _ in self.signatures) or "nobody"
        raise DoesNotHold(f"signed by a key that is not trusted ({signers})", code="unknown_key")


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """What is signed: type and payload, each with its length, so that neither can run into the other."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, payload_type: str, private_key: PrivateKey) -> bytes:
    """The JSON envelope of `payload`, signed; the same arguments give the same bytes."""
    signature = private_key.sign(pre_authentication_encoding(payload_type, payload))
    return Envelope(payload, payload_type, ((private_key.key_id, signature),)).to_bytes()


def open_envelope(envelope: bytes, trusted: Sequence[PublicKey], payload_type: str) -> bytes:
    """The payload of an envelope that a trusted key signed.

    Raises:
        DoesNotHold: not an envelope (`bad_envelope`), another type (`wrong_type`), no trusted key
            (`unknown_key`), or a signature that does not verify (`bad_signature`).
    """
    parsed = read_envelope(envelope, payload_type)
    return parsed.payload_trusted_by(trusted)[0]


def read_envelope(envelope: bytes, payload_type: str) -> Envelope:
    """Parse an envelope without checking its signatures.

    Raises:
        DoesNotHold: not an envelope (`bad_envelope`), or of another type (`wrong_type`).
    """
    try:
        content = json.loads(envelope)
        signatures = tuple(
            (str(entry.get("keyid", "")), _decode(entry["sig"])) for entry in content["signatures"]
        )
        parsed = Envelope(_decode(content["payload"]), str(content["payloadType"]), signatures)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise DoesNotHold("not a DSSE envelope", code="bad_envelope") from None
    if parsed.payload_type != payload_type:
        raise DoesNotHold(
            f"the envelope holds {parsed.payload_type!r}, not {payload_type!r}", code="wrong_type"
        )
    return parsed


def _encode(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _decode(text: Any) -> bytes:
    """Standard or URL-safe base64, padded, in its only spelling."""
    standard = text.replace("-", "+").replace("_", "/")
    try:
        content = base64.b64decode(standard, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if _encode(content) != standard:
        # Unused bits of the last character may differ between two spellings of the same bytes.
        raise ValueError("base64 that is not canonical")
    return content
