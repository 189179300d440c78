import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from optout import dsse
from optout.engine import Items, Question
from optout.errors import DoesNotHold
from optout.snapshot import build_delta, inspect_snapshot, open_snapshot, verify_snapshot
from optout.snapshot.files import describe_file, write_batch
from optout.snapshot.manifest import PAYLOAD_TYPE, canonical_json
from optout.words import Use
from tests.unit.picture_support import embedding, fingerprint, view
from tests.unit.snapshot_support import KEY, STRANGER, built, claim, content, table

TRUST = [KEY.public]


@pytest.fixture(scope="module")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot with a delta, a withdrawal and every kind of file."""
    folder = tmp_path_factory.mktemp("verify")
    rows = [
        claim("url", "example.org/a.jpg"),
        claim("domain", "example.net", owner="bob", ref="one"),
        claim("name", "greta garbo", owner="eve"),
        claim("sha256", "ab" * 32, owner="eve"),
    ]
    built(folder / "base", *rows)
    added = [
        claim("prefix", "example.com/gallery", owner="cy", title="Pictures"),
        claim("picture", fingerprint(view(1), view(2, name="centre")), owner="cy"),
        claim("phash", view(3).phash, owner="cy"),
        claim("pdq", view(4).pdq, owner="cy"),
        claim("clip", embedding(1), owner="cy"),
    ]
    new = [table(added)]
    build_delta(folder / "base", new, [rows[0]["claim_id"]], folder / "snapshot", private_key=KEY)
    shutil.rmtree(folder / "base")
    return folder / "snapshot"


@pytest.fixture
def snapshot(pristine: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(pristine, tmp_path / "snapshot"))


def refusal(path: Path, trust: Any = TRUST) -> DoesNotHold:
    with pytest.raises(DoesNotHold) as caught:
        verify_snapshot(path, trust=trust)
    return caught.value


def test_a_whole_snapshot_holds(pristine: Path) -> None:
    assert verify_snapshot(pristine, trust=[STRANGER.public, *TRUST])[0] == f"signed by {KEY.key_id}"


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_flipped_bit_is_found_and_the_file_named(pristine: Path, data: st.DataObject) -> None:
    files = content(pristine)
    name = data.draw(st.sampled_from(sorted(files)))
    place = data.draw(st.integers(0, len(files[name]) * 8 - 1))
    changed = bytearray(files[name])
    changed[place // 8] ^= 1 << place % 8
    try:
        (pristine / name).write_bytes(changed)
        assert name in str(refusal(pristine))
    finally:
        (pristine / name).write_bytes(files[name])


def test_every_file_is_missed(pristine: Path, tmp_path: Path) -> None:
    for number, name in enumerate(sorted(content(pristine))):
        copy = Path(shutil.copytree(pristine, tmp_path / str(number)))
        (copy / name).unlink()
        for look in (lambda path: verify_snapshot(path, trust=TRUST), open_snapshot, inspect_snapshot):
            with pytest.raises(DoesNotHold, match=name) as caught:
                look(copy)
            assert caught.value.code == "missing_file"


@pytest.mark.parametrize("name", ["notes.txt", "segments/more.arrow", "withdrawn/.hidden"])
def test_an_extra_file_is_refused(snapshot: Path, name: str) -> None:
    (snapshot / name).write_text("x")
    assert (refusal(snapshot).code, name in str(refusal(snapshot))) == ("extra_file", True)


def test_a_link_in_place_of_a_file_is_refused(snapshot: Path) -> None:
    path = next(snapshot.glob("segments/*/claims.arrow"))
    path.rename(snapshot.parent / "elsewhere")
    path.symlink_to(snapshot.parent / "elsewhere")
    assert refusal(snapshot).code == "extra_file"


def test_a_link_in_place_of_a_folder_is_refused(snapshot: Path) -> None:
    (snapshot / "segments" / "linked").symlink_to(snapshot)
    assert refusal(snapshot).code == "extra_file"


def test_a_shorter_file_is_refused_on_opening(snapshot: Path) -> None:
    path = next(snapshot.glob("segments/*/url.arrow"))
    os.truncate(path, path.stat().st_size - 8)
    with pytest.raises(DoesNotHold, match=r"url\.arrow") as caught:
        open_snapshot(snapshot)
    assert caught.value.code == "wrong_size"


def test_a_wrong_key_is_refused(pristine: Path) -> None:
    assert refusal(pristine, [STRANGER.public]).code == "unknown_key"
    assert refusal(pristine, []).code == "unknown_key"
    with pytest.raises(DoesNotHold, match=r"manifest\.dsse\.json"):
        open_snapshot(pristine, trust=[STRANGER.public])


def test_no_snapshot_at_all_is_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none").code == "missing_file"
    assert refusal(tmp_path).code == "missing_file"
    (tmp_path / "file").write_text("")
    assert refusal(tmp_path / "file").code == "missing_file"


def resign(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change the manifest and sign it anew, as a faulty or hostile builder with a good key could."""
    manifest = json.loads((folder / "manifest.json").read_bytes())
    change(manifest)
    manifest["files"] = {
        name: entry | {key: getattr(describe_file(folder / name, 0), key) for key in ("sha256", "size")}
        for name, entry in manifest["files"].items()
        if (folder / name).is_file()
    }
    (folder / "manifest.json").write_bytes(canonical_json(manifest))
    (folder / "manifest.dsse.json").write_bytes(dsse.sign(canonical_json(manifest), PAYLOAD_TYPE, KEY))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda manifest: manifest.update(version=2), "bad_version"),
        (lambda manifest: manifest.update(sip_key="00"), "bad_manifest"),
        (lambda manifest: manifest.update(files=[]), "bad_manifest"),
        (lambda manifest: manifest.pop("segments"), "bad_manifest"),
        (lambda manifest: manifest.update(extra=1), "bad_manifest"),
        (lambda manifest: manifest["files"].update({"../../etc/passwd": {}}), "bad_manifest"),
        (lambda manifest: manifest["segments"][0].update(name="../up"), "bad_manifest"),
        (lambda manifest: manifest["segments"][0].update(counts=[1]), "bad_manifest"),
        (lambda manifest: manifest["segments"][0].update(claims=-1), "bad_manifest"),
        (lambda manifest: next(iter(manifest["files"].values())).update(size="1"), "bad_manifest"),
        (lambda manifest: next(iter(manifest["files"].values())).update(rows=True), "bad_manifest"),
    ],
)
def test_a_signed_manifest_that_makes_no_sense_is_refused(
    snapshot: Path, change: Callable[[dict[str, Any]], object], code: str
) -> None:
    manifest = json.loads((snapshot / "manifest.json").read_bytes())
    change(manifest)
    (snapshot / "manifest.json").write_bytes(canonical_json(manifest))
    (snapshot / "manifest.dsse.json").write_bytes(dsse.sign(canonical_json(manifest), PAYLOAD_TYPE, KEY))
    assert refusal(snapshot).code == code


def test_a_manifest_in_another_spelling_is_refused(snapshot: Path) -> None:
    spaced = json.dumps(json.loads((snapshot / "manifest.json").read_bytes())).encode()
    (snapshot / "manifest.json").write_bytes(spaced)
    (snapshot / "manifest.dsse.json").write_bytes(dsse.sign(spaced, PAYLOAD_TYPE, KEY))
    assert refusal(snapshot).code == "bad_manifest"


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("url", {"key": [1 << 63], "check": [1], "claim": [9]}),
        ("url", {"key": [1], "check": [1], "claim": [0]}),
        ("url", {"key": [1 << 63, 1 << 62], "check": [1, 1], "claim": [0, 0]}),
        ("url", {"key": [1 << 63, 1 << 63], "check": [1, 1], "claim": [0, 0]}),
        ("url.offsets", {"offset": [0, 7, 1]}),
        ("url.offsets", {"offset": [0, 1, 7]}),
        ("url.offsets", {"offset": [0, 0, 1, 1]}),
        ("claims", {"id": [b"a" * 16] * 3, "statement": [0, 0, 99]}),
        ("statements", {"owner": [99, 0, 0]}),
        ("statements", {"decision": [3, 0, 3]}),
        ("statements", {"grade": [0, 200, 0]}),
        ("claims", {"statement": [0, 0, 0]}),
        ("picture", {"claim": [0, 99]}),
        ("picture", {"view": [1, 4]}),
        ("picture", {"phash": [2, 1]}),
        ("picture", {"phash": [1, 2]}),
        ("picture.turned", {"second": [1, 2]}),
        ("picture.turned", {"second": [1], "third": [1]}),
        ("picture.offsets", {"offset": [0, 2]}),
        ("picture.offsets", {"offset": [0, 1, 9] * 3}),
        ("phash", {"claim": [99]}),
        ("phash.offsets", {"offset": [0, 0, 0] * 3}),
        ("pdq", {"claim": [99]}),
        ("pdq.tables", {"entry3": [1]}),
        ("pdq.offsets", {"offset": [0, 0, 0] * 11}),
        ("clip.*[0-9a-f]", {"claim": [99]}),
        ("clip.*[0-9a-f]", {"claim": [0, 0]}),
        ("clip.*.codes", {"code": [1, 2, 3, 4]}),
        ("clip.*.vectors", {"vector": [0] * 64}),
        ("clip.*.centre", {"centre": [float("nan")] * 64}),
        ("clip.*.norm", {"norm": [0.0]}),
    ],
)
def test_tables_that_do_not_fit_together_are_refused_though_signed(
    snapshot: Path, name: str, columns: dict[str, Any]
) -> None:
    path = next(path for path in sorted(snapshot.glob(f"segments/*/{name}.arrow")))
    with pa.ipc.open_file(path) as reader:
        batch = reader.get_batch(0)
    given = {key: pa.array(values, batch.schema.field(key).type) for key, values in columns.items()}
    kept = (
        {}
        if name == "claims" and len(columns) == 1
        else dict(zip(batch.schema.names, batch.columns, strict=True))
    )
    path.unlink()
    write_batch(path, kept | given)
    resign(snapshot, lambda manifest: None)
    assert refusal(snapshot).code == "bad_file"


def test_an_unverified_snapshot_cannot_lead_out_of_its_tables(snapshot: Path) -> None:
    path = next(snapshot.glob("segments/*base*/domain.offsets.arrow"))
    write_batch(path, {"offset": np.array([0, 2**32 - 1, 1], np.uint32)})
    resign(snapshot, lambda manifest: None)
    opened = open_snapshot(snapshot)
    urls = [f"https://{number}.example.net/" for number in range(100)]
    assert opened.judge(Items(100, url=pa.array(urls)), Question(Use.TDM)).outcome.shape == (100,)


def test_unverified_picture_tables_lead_nowhere_either(snapshot: Path) -> None:
    far = 2**32 - 1
    changes: tuple[tuple[str, Callable[[Any], Any]], ...] = (
        ("picture.offsets", lambda column: np.full(len(column), far, np.uint32)),
        ("phash.offsets", lambda column: np.array([0, far] * len(column), np.uint32)[: len(column)]),
        ("pdq.offsets", lambda column: np.array([0, far] * len(column), np.uint32)[: len(column)]),
        ("pdq.tables", lambda column: np.full(len(column), far, np.uint32)),
    )
    for stem, change in changes:
        path = next(snapshot.glob(f"segments/*/{stem}.arrow"))
        with pa.ipc.open_file(path) as reader:
            batch = reader.get_batch(0)
        write_batch(path, {name: change(batch.column(name)) for name in batch.schema.names})
    resign(snapshot, lambda manifest: None)
    items = [{"picture": fingerprint(view(1))}, {"pdq": view(4).pdq}, {"phash": view(3).phash}] * 100
    assert len(open_snapshot(snapshot).check(items, Question(Use.TDM))) == 300
