import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from optout import dsse, keys
from optout.errors import BadInput, DoesNotHold, UsageError


def test_a_generated_pair_signs_and_checks(tmp_path: Path) -> None:
    made = keys.generate(tmp_path / "keys")
    private = keys.load_private(tmp_path / "keys" / "private.pem")
    public = keys.load_public(tmp_path / "keys" / "public.pem")
    assert made.key_id == private.key_id == public.key_id
    assert public.verifies(private.sign(b"claims"), b"claims")
    assert not public.verifies(private.sign(b"claims"), b"clains")


def test_the_key_id_is_the_digest_of_the_raw_key() -> None:
    raw = bytes(range(32))
    key = keys.PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(raw))
    assert key.key_id == "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"


def test_the_private_key_is_for_its_owner_only(tmp_path: Path) -> None:
    keys.generate(tmp_path)
    assert stat.S_IMODE((tmp_path / "private.pem").stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["private.pem", "public.pem"])
def test_keys_are_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("precious")
    with pytest.raises(UsageError, match=name) as caught:
        keys.generate(tmp_path)
    assert caught.value.code == "key_exists"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file") as caught:
        keys.generate(tmp_path / "file" / "keys")
    assert caught.value.code == "unwritable"


@pytest.mark.parametrize("load", [keys.load_private, keys.load_public])
def test_a_missing_or_broken_key_is_named(tmp_path: Path, load: object) -> None:
    assert callable(load)
    with pytest.raises(BadInput, match="no-such") as caught:
        load(tmp_path / "no-such.pem")
    assert caught.value.code == "missing_key"
    (tmp_path / "junk.pem").write_text("-----BEGIN JUNK-----")
    with pytest.raises(BadInput, match="junk") as caught:
        load(tmp_path / "junk.pem")
    assert caught.value.code == "bad_key"


def test_keys_of_another_kind_are_refused(tmp_path: Path) -> None:
    other = ec.generate_private_key(ec.SECP256R1())
    (tmp_path / "p.pem").write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (tmp_path / "q.pem").write_bytes(
        other.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    with pytest.raises(BadInput, match="not Ed25519"):
        keys.load_private(tmp_path / "p.pem")
    with pytest.raises(BadInput, match="not Ed25519"):
        keys.load_public(tmp_path / "q.pem")


def test_an_encrypted_key_is_refused(tmp_path: Path) -> None:
    locked = ed25519.Ed25519PrivateKey.generate().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret")
    )
    (tmp_path / "locked.pem").write_bytes(locked)
    with pytest.raises(BadInput, match="unencrypted"):
        keys.load_private(tmp_path / "locked.pem")


def test_a_key_may_be_valid_for_a_time(tmp_path: Path) -> None:
    keys.generate(tmp_path, valid=timedelta(days=30))
    public = keys.load_public(tmp_path / "public.pem")
    now = datetime.now(UTC)
    assert public.until is not None
    assert timedelta(days=29) < public.until - now <= timedelta(days=30)
    assert not public.expired(now)
    assert public.expired(now + timedelta(days=31))
    assert keys.PublicKey(public.key).expired(now + timedelta(days=9999)) is False


def test_the_day_may_be_written_by_hand_and_must_be_one(tmp_path: Path) -> None:
    keys.generate(tmp_path)
    path = tmp_path / "public.pem"
    pem = path.read_text()
    path.write_text("Held by Ann.\nValid-Until: 2026-12-31\r\n" + pem)
    assert keys.load_public(path).until == datetime(2026, 12, 31, tzinfo=UTC)
    path.write_text("Valid-Until: soon\n" + pem)
    with pytest.raises(BadInput, match="Valid-Until") as caught:
        keys.load_public(path)
    assert caught.value.code == "bad_key"


def test_a_signature_counts_until_its_key_expires(tmp_path: Path) -> None:
    private = keys.generate(tmp_path / "old", valid=timedelta(days=-1))
    old = keys.load_public(tmp_path / "old" / "public.pem")
    envelope = dsse.sign(b"{}", "text", private)
    with pytest.raises(DoesNotHold, match="expired on") as caught:
        dsse.open_envelope(envelope, [old], "text")
    assert caught.value.code == "expired_key"
    still = keys.PublicKey(old.key)
    for trusted in ([old, still], [still, old]):
        assert dsse.open_envelope(envelope, trusted, "text") == b"{}"
