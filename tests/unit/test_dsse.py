import json

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope as PeerEnvelope
from securesystemslib.signer._key import SSlibKey

from optout import dsse
from optout.errors import DoesNotHold
from optout.keys import PrivateKey

TYPE = "application/vnd.example+json"
SIGNER = PrivateKey(Ed25519PrivateKey.from_private_bytes(b"s" * 32))
STRANGER = PrivateKey(Ed25519PrivateKey.from_private_bytes(b"x" * 32))


def code_of(envelope: bytes, *trusted: PrivateKey, payload_type: str = TYPE) -> str:
    with pytest.raises(DoesNotHold) as caught:
        dsse.open_envelope(envelope, [key.public for key in trusted], payload_type)
    return caught.value.code


def test_the_encoding_is_the_specification_s_example() -> None:
    encoded = dsse.pre_authentication_encoding("http://example.com/HelloWorld", b"hello world")
    assert encoded == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_what_was_signed_comes_back_the_same_every_time(payload: bytes) -> None:
    envelope = dsse.sign(payload, TYPE, SIGNER)
    assert envelope == dsse.sign(payload, TYPE, SIGNER)
    assert dsse.open_envelope(envelope, [STRANGER.public, SIGNER.public], TYPE) == payload


def test_an_independent_reader_accepts_our_envelopes() -> None:
    key_id = SIGNER.key_id
    key = SSlibKey(key_id, "ed25519", "ed25519", {"public": SIGNER.public.raw.hex()})
    peer = PeerEnvelope.from_dict(json.loads(dsse.sign(b"hello", TYPE, SIGNER)))
    assert set(peer.verify([key], threshold=1)) == {key_id}


def test_the_reasons_are_told_apart() -> None:
    envelope = dsse.sign(b"hello", TYPE, SIGNER)
    assert code_of(envelope, STRANGER) == "unknown_key"
    assert code_of(envelope) == "unknown_key"
    assert code_of(envelope, SIGNER, payload_type="text/plain") == "wrong_type"
    changed = json.loads(envelope) | {"payload": "aGVsbG8h"}
    assert code_of(json.dumps(changed).encode(), SIGNER) == "bad_signature"


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\xff",
        b"[]",
        b"{}",
        b"null",
        b"[" * 100_000,
        b'{"payload":1,"payloadType":"t","signatures":[]}',
        b'{"payload":"aGVsbG8","payloadType":"t","signatures":[]}',
        b'{"payload":"aGVsbG9=","payloadType":"t","signatures":[]}',
        b'{"payload":"","payloadType":"t","signatures":["x"]}',
    ],
)
def test_what_is_no_envelope_is_refused(junk: bytes) -> None:
    assert code_of(junk, SIGNER) == "bad_envelope"


def test_a_signature_without_key_id_is_tried_with_every_trusted_key() -> None:
    content = json.loads(dsse.sign(b"hello", TYPE, SIGNER))
    del content["signatures"][0]["keyid"]
    envelope = json.dumps(content).encode()
    assert dsse.open_envelope(envelope, [STRANGER.public, SIGNER.public], TYPE) == b"hello"
    assert code_of(envelope, STRANGER) == "bad_signature"


def test_one_good_signature_among_several_is_enough() -> None:
    first, second = (json.loads(dsse.sign(b"hello", TYPE, key)) for key in (STRANGER, SIGNER))
    first["signatures"] += second["signatures"]
    assert dsse.open_envelope(json.dumps(first).encode(), [SIGNER.public], TYPE) == b"hello"
