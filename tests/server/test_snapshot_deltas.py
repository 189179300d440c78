"""Snapshots that carry on from the one before: the same answers as a new base, at less cost."""

import shutil
from pathlib import Path
from random import Random
from typing import IO, Any

import pytest

from optout.engine import Question
from optout.errors import UsageError
from optout.snapshot import build_snapshot, open_snapshot, verify_snapshot
from optout.words import Decision, SelectorKind, Use
from registry import live, storage
from registry.actor import Actor
from registry.models import Claim, ClaimEvent, SnapshotRecord, User
from registry.services import snapshots
from registry.services.claims import hold_claim, release_claim, withdraw_claim
from registry.services.snapshots import build_current
from registry.snapshot_store import KEPT, fetch_snapshot, local_pointer, snapshots_folder, stored_key
from registry.stream import stream_claims
from registry.trust import signing_key, trusted_keys
from tests.server.parties import claim_by, operator, platform
from tests.server.test_imports import loaded, row

pytestmark = pytest.mark.django_db(transaction=True)
BASE = 40


@pytest.fixture
def big() -> Actor:
    """A platform with forty imported claims and a snapshot of them."""
    actor = platform()
    loaded(actor, [row(number) for number in range(BASE)])
    built()
    return actor


def built(*, force: bool = False) -> SnapshotRecord:
    record = build_current(force=force)
    assert record is not None
    return record


def segments(record: SnapshotRecord) -> int:
    return len(record.manifest["segments"])


def answers(directory: Path) -> list[dict[str, Any]]:
    """What a snapshot says about every work there is, without its own name and the order of reasons."""
    items: list[dict[str, Any]] = [
        {"url": f"https://big.example.org/works/{number}.jpg"} for number in range(BASE + 30)
    ]
    items += [{"sha256": f"{number:064x}"} for number in range(BASE)] + [{"text": "by Eva Example, 1999"}]
    said = open_snapshot(directory).check(items, Question(use=Use.AI_TRAIN))
    for answer in said:
        for part in ("reasons", "flags"):
            reasons = [{**reason, "snapshot": ""} for reason in answer[part]]
            answer[part] = sorted(reasons, key=repr)
    return said


def rebuilt(folder: Path) -> Path:
    """A new base of what the database says now."""
    build_snapshot(stream_claims(), folder, private_key=signing_key())
    return folder


def change(random: Random, big: Actor, boss: User, number: int) -> None:
    """Let one thing happen to some claim."""
    active = list(Claim.objects.filter(status="active").order_by("id"))
    match random.choice(["new", "withdraw", "amend", "extend", "hold", "release", "name"]):
        case "new":
            loaded(big, [row(BASE + number)])
        case "withdraw":
            withdraw_claim(acting=big, claim=random.choice(active))
        case "amend":
            imported = int(random.choice([one for one in active if one.ref]).ref.removeprefix("work-"))
            loaded(big, [row(imported, decision=random.choice(["allow", "deny"]), uses="tdm")])
        case "extend":
            loaded(big, [row(number, selector="sha256", value=f"{number:064x}")])
        case "hold":
            hold_claim(operator=boss, claim=random.choice(active))
        case "release":
            for held in Claim.objects.filter(status="held")[:1]:
                release_claim(operator=boss, claim=held)
        case "name":
            claim_by(big, "Eva Example", kind=SelectorKind.NAME, decision=Decision.DENY, owner=f"o-{number}")


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_deltas_answer_like_a_new_base(
    big: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(snapshots, "DELTA_SHARE", 10.0)
    random = Random(seed)
    boss = operator()
    for round_ in range(5):
        for number in range(random.randint(1, 4)):
            change(random, big, boss, round_ * 4 + number)
        record = build_current() or SnapshotRecord.objects.newest_first()[0]
        assert record.checkpoint == ClaimEvent.objects.checkpoint()
        directory = fetch_snapshot(record)
        verify_snapshot(directory, trust=trusted_keys())
        assert answers(directory) == answers(rebuilt(tmp_path / f"base-{round_}"))
    assert segments(record) > 2


def test_a_delta_shares_the_files_of_its_base(big: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    base = SnapshotRecord.objects.get()
    withdraw_claim(acting=big, claim=Claim.objects.get(ref="work-1"))
    loaded(big, [row(BASE)])
    sent: list[str] = []
    put = storage.put

    def noted(key: str, file: IO[bytes]) -> None:
        sent.append(key)
        put(key, file)

    monkeypatch.setattr(storage, "put", noted)
    delta = built()
    assert (segments(delta), delta.claims, delta.manifest["previous"]) == (2, BASE, base.digest)
    for path in base.manifest["files"]:
        assert (fetch_snapshot(base) / path).samefile(fetch_snapshot(delta) / path)
    fresh = {stored_key(delta, path) for path in delta.manifest["files"]}
    fresh -= {stored_key(base, path) for path in base.manifest["files"]}
    manifests = {stored_key(delta, path) for path in ("manifest.json", "manifest.dsse.json")}
    assert set(sent) == fresh | manifests | {"snapshots/current.json"}
    assert len(sent) == len(set(sent))


def test_a_withdrawal_alone_adds_no_segment_and_holds(big: Actor) -> None:
    withdraw_claim(acting=big, claim=Claim.objects.get(ref="work-1"))
    record = built()
    assert (segments(record), record.claims) == (1, BASE - 1)
    verify_snapshot(fetch_snapshot(record), trust=trusted_keys())
    said = answers(fetch_snapshot(record))
    assert (said[0]["outcome"], said[1]["outcome"]) == ("denied", "unreserved")
    live._next_look = 0.0
    asked = {"url": "https://big.example.org/works/1.jpg"}
    [now] = live.current_snapshot().check([asked], Question(use=Use.AI_TRAIN))
    assert now["outcome"] == "unreserved"


def test_many_changes_many_deltas_or_force_make_a_new_base(
    big: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded(big, [row(BASE), row(BASE + 1)])
    assert segments(built()) == 2
    assert segments(built(force=True)) == 1
    loaded(big, [row(BASE + 2 + number) for number in range(12)])  # more than a fifth
    assert segments(built()) == 1
    monkeypatch.setattr(snapshots, "MOST_DELTAS", 2)
    found = []
    for number in range(4):
        loaded(big, [row(BASE + 20 + number)])
        found.append(segments(built()))
    assert found == [2, 3, 1, 2]


def test_small_deltas_add_up_to_a_new_base(big: Actor) -> None:
    found = []
    for number in range(4):
        loaded(big, [row(BASE + 3 * number + offset) for offset in range(3)])
        found.append(segments(built()))
    assert found == [2, 3, 1, 2]


def test_a_lost_predecessor_means_a_new_base(big: Actor) -> None:
    record = SnapshotRecord.objects.get()
    shutil.rmtree(fetch_snapshot(record))
    for path in record.manifest["files"]:
        storage.delete(stored_key(record, path))
    loaded(big, [row(BASE)])
    assert segments(built()) == 1


def test_a_replica_needs_no_private_key_and_keeps_few_snapshots(
    big: Actor, settings: Any, tmp_path: Path
) -> None:
    shutil.copy(settings.OPTOUT_SIGNING_KEY.with_name("public.pem"), tmp_path / "trusted.pem")
    here, key = settings.DATA, settings.OPTOUT_SIGNING_KEY
    records = []
    for number in range(KEPT + 2):
        settings.DATA, settings.OPTOUT_SIGNING_KEY, settings.OPTOUT_TRUSTED_KEYS = here, key, []
        loaded(big, [row(BASE + number)])
        records.append(built())
        settings.DATA, settings.OPTOUT_SIGNING_KEY = tmp_path / "replica", None
        settings.OPTOUT_TRUSTED_KEYS = [tmp_path / "trusted.pem"]
        live._next_look = 0.0
        assert live.current_state().snapshot.digest == records[-1].digest
    kept = {path.name for path in snapshots_folder().iterdir() if path.is_dir()}
    assert kept == {record.directory for record in records[-KEPT:]}
    pointer = local_pointer()
    assert pointer is not None
    assert pointer["digest"] == records[-1].digest
    newest, before = (snapshots_folder() / record.directory for record in records[:-3:-1])
    shared = sorted(path.relative_to(newest) for path in newest.glob("segments/0000-*/*"))
    assert shared
    assert all((newest / path).samefile(before / path) for path in shared)


def test_who_has_no_signing_key_builds_nothing(big: Actor, settings: Any) -> None:
    settings.OPTOUT_SIGNING_KEY = None
    with pytest.raises(UsageError, match="OPTOUT_SIGNING_KEY"):
        build_current(force=True)
    assert SnapshotRecord.objects.count() == 1


def test_a_damaged_file_of_this_machine_is_not_handed_on(big: Actor, settings: Any, tmp_path: Path) -> None:
    settings.DATA, here = tmp_path / "replica", settings.DATA
    damaged = next(fetch_snapshot(SnapshotRecord.objects.get()).glob("segments/*/url.arrow"))
    content = bytearray(damaged.read_bytes())
    content[-1] ^= 1
    damaged.write_bytes(bytes(content))
    settings.DATA = here
    loaded(big, [row(BASE)])
    record = built()
    settings.DATA = tmp_path / "replica"
    verify_snapshot(fetch_snapshot(record), trust=trusted_keys())


def test_a_snapshot_of_another_key_is_not_used(big: Actor, settings: Any, tmp_path: Path) -> None:
    from optout.keys import generate

    generate(tmp_path / "other")
    settings.OPTOUT_TRUSTED_KEYS = [tmp_path / "other" / "public.pem"]
    live.reset()
    # Not the snapshot, but all events over nothing: slower, and right.
    state = live.current_state()
    assert state.snapshot.digest != SnapshotRecord.objects.get().digest
    asked = {"url": "https://big.example.org/works/1.jpg"}
    assert state.snapshot.check([asked], Question(use=Use.AI_TRAIN))[0]["outcome"] == "denied"
