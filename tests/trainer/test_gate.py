"""What the gate refuses, each with a sentence that says what to run."""

import importlib.util
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from optout import keys
from optout.parents import read_parents
from tests.trainer.support import Ran, samples, write_receipt, write_tar
from trainer.cli import app
from trainer.gate import filter_again

Command = Callable[..., Ran]
Refused = Callable[..., tuple[int, str, str]]


@pytest.fixture
def refused(
    trainer: Command, filtered: Path, signer: Path, tmp_path: Path
) -> Callable[..., tuple[int, str, str]]:
    """Try to train; gives exit code, error code and sentence, and makes sure that nothing was begun."""

    def attempt(
        *more: object, trust: Path = signer / "public.pem", data: Path = filtered
    ) -> tuple[int, str, str]:
        out = tmp_path / "model"
        ran = trainer(
            "train", "--data", filtered, "--trust", trust, "--out", out, "--steps", 1, "--json", *more
        )
        assert not out.exists()
        assert not (tmp_path / "model.run").exists()
        error = ran.json["error"]
        assert error["message"] in ran.err
        return ran.code, error["code"], error["message"]

    return attempt


FILTER_AGAIN = "filter again: optout filter SOURCE --snapshot SNAPSHOT --use ai-train-generative --mode drop"


def test_one_changed_byte_in_a_shard(refused: Refused, filtered: Path) -> None:
    shard = filtered / "00001.tar"
    content = bytearray(shard.read_bytes())
    content[1000] ^= 1
    shard.write_bytes(content)
    code, kind, says = refused()
    assert (code, kind) == (1, "changed_file")
    assert "00001.tar was changed" in says
    assert FILTER_AGAIN in says


def test_a_shard_added_after_filtering(refused: Refused, filtered: Path) -> None:
    write_tar(filtered / "00002.tar", samples(1))
    code, kind, says = refused()
    assert (code, kind) == (1, "extra_file")
    assert "00002.tar is not among the files" in says


def test_a_shard_removed_after_filtering(refused: Refused, filtered: Path) -> None:
    (filtered / "00000.tar").unlink()
    code, kind, says = refused()
    assert (code, kind) == (1, "missing_file")
    assert "00000.tar is missing" in says


def test_a_receipt_of_other_data(
    refused: Refused, filtered: Path, tmp_path: Path, private: keys.PrivateKey
) -> None:
    other = tmp_path / "other"
    write_tar(other / "00000.tar", samples(3, seed=9))
    code, kind, says = refused("--receipt", write_receipt(other, private))
    assert (code, kind) == (1, "changed_file")
    assert "is not what" in says
    assert "(and 2 more files)" in says


def test_no_receipt(refused: Refused, filtered: Path) -> None:
    (filtered / "receipt.json").unlink()
    code, kind, says = refused()
    assert (code, kind) == (3, "no_such_file")
    assert "optout filter" in says


def test_a_receipt_that_is_none(refused: Refused, filtered: Path) -> None:
    (filtered / "receipt.json").write_text("{}")
    code, kind, _ = refused()
    assert (code, kind) == (1, "bad_envelope")


def test_an_unknown_key(refused: Refused, tmp_path: Path) -> None:
    keys.generate(tmp_path / "stranger")
    code, kind, says = refused(trust=tmp_path / "stranger" / "public.pem")
    assert (code, kind) == (1, "unknown_key")
    assert "pass the key of whoever filtered with --trust" in says


def test_an_expired_key(refused: Refused, filtered: Path, tmp_path: Path) -> None:
    expired = keys.generate(tmp_path / "expired", valid=timedelta(days=-1))
    write_receipt(filtered, expired)
    code, kind, says = refused(trust=tmp_path / "expired" / "public.pem")
    assert (code, kind) == (1, "expired_key")
    assert "expired" in says


def test_a_receipt_that_came_after_one_of_a_stranger(
    refused: Refused, filtered: Path, private: keys.PrivateKey, tmp_path: Path
) -> None:
    keys.generate(tmp_path / "stranger")
    (tmp_path / "rows").mkdir()
    write_receipt(tmp_path / "rows", keys.load_private(tmp_path / "stranger" / "private.pem"))
    (parent,) = read_parents([tmp_path / "rows" / "receipt.json"])
    write_receipt(filtered, private, predicate={"parents": [parent]})
    code, kind, message = refused()
    assert (code, kind) == (1, "unknown_key")
    assert f"came after a receipt that does not hold, parent {parent['sha256'][:16]}" in message
    assert "--trust as well" in message


def test_a_receipt_that_came_after_another_than_it_says(
    refused: Refused, filtered: Path, private: keys.PrivateKey, tmp_path: Path
) -> None:
    (tmp_path / "rows").mkdir()
    write_receipt(tmp_path / "rows", private)
    (parent,) = read_parents([tmp_path / "rows" / "receipt.json"])
    write_receipt(filtered, private, predicate={"parents": [{**parent, "sha256": "ab" * 32}]})
    code, kind, message = refused()
    assert (code, kind) == (1, "changed_parent")
    assert "came after a receipt that does not hold" in message
    elsewhere = write_receipt(tmp_path / "rows", private, use="search")
    write_receipt(filtered, private, predicate={"parents": read_parents([elsewhere])})
    code, kind, message = refused()
    assert (code, kind) == (1, "other_use")
    assert "it was filtered for search" in message


def test_no_key_at_all(trainer: Command, filtered: Path, tmp_path: Path) -> None:
    ran = trainer("train", "--data", filtered, "--out", tmp_path / "model", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "no_trust")


def test_another_use(refused: Refused, filtered: Path, private: keys.PrivateKey) -> None:
    write_receipt(filtered, private, use="search")
    code, kind, says = refused()
    assert (code, kind) == (1, "other_use")
    assert "filtered for search, not for ai-train-generative" in says


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"mode": "annotate"}, "other_mode"),
        ({"mode": "mask"}, "other_mode"),
        ({"keep_errors": True}, "unjudged"),
    ],
)
def test_data_with_what_a_filter_should_leave_out(
    refused: Refused, filtered: Path, private: keys.PrivateKey, settings: dict[str, object], kind: str
) -> None:
    write_receipt(filtered, private, settings=settings)
    assert refused()[:2] == (1, kind)


def test_a_snapshot_that_is_too_old(refused: Refused, filtered: Path, private: keys.PrivateKey) -> None:
    write_receipt(filtered, private, age=timedelta(days=31, minutes=1))
    code, kind, says = refused()
    assert (code, kind) == (1, "stale_snapshot")
    assert "31 days ago" in says
    assert "fetch the newest from the registry" in says
    assert refused("--max-snapshot-age", 7)[1] == "stale_snapshot"


def test_an_old_snapshot_that_was_asked_today(
    refused: Refused, filtered: Path, private: keys.PrivateKey
) -> None:
    as_of = datetime.now(UTC) - timedelta(days=45, minutes=1)
    write_receipt(filtered, private, checkpoint={"events": 7, "as_of": as_of.isoformat()})
    code, kind, says = refused()
    assert (code, kind) == (1, "stale_snapshot")
    assert "45 days ago" in says


def test_an_older_one_where_that_is_allowed(
    trainer: Command, filtered: Path, signer: Path, tmp_path: Path, private: keys.PrivateKey
) -> None:
    """A later refusal, of the settings, shows that the gate let it pass."""
    write_receipt(filtered, private, age=timedelta(days=40))
    arguments = ("--data", filtered, "--trust", signer / "public.pem", "--out", tmp_path / "model")
    ran = trainer("train", *arguments, "--max-snapshot-age", 41, "--set", "model.channels=[8]", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "bad_model")


def test_a_receipt_from_the_future(refused: Refused, filtered: Path, private: keys.PrivateKey) -> None:
    write_receipt(filtered, private, age=timedelta(hours=-2))
    assert refused()[:2] == (1, "future_receipt")


def test_data_without_pictures(
    trainer: Command, signer: Path, tmp_path: Path, private: keys.PrivateKey
) -> None:
    data = tmp_path / "rows"
    data.mkdir()
    shutil.copyfile(signer / "public.pem", data / "rows.parquet")
    write_receipt(data, private)
    out = tmp_path / "model"
    ran = trainer("train", "--data", data, "--trust", signer / "public.pem", "--out", out, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (3, "no_pictures")


def test_a_shard_changed_while_training(
    trainer: Command, filtered: Path, signer: Path, tmp_path: Path
) -> None:
    """Between the gate and the first reading of a shard its digest is asked again."""
    from optout.errors import DoesNotHold
    from optout.keys import load_public
    from trainer.data.files import CoveredFiles
    from trainer.data.shards import find_shards
    from trainer.gate import admit

    admission = admit(filtered, filtered / "receipt.json", [load_public(signer / "public.pem")])
    shards = find_shards(CoveredFiles(admission.data, admission.files))
    assert len(shards[0].open()) == 16
    write_tar(filtered / "00001.tar", samples(8, seed=2))
    with pytest.raises(DoesNotHold, match=r"00001\.tar was changed while training") as caught:
        shards[1].open()
    assert caught.value.code == "changed_file"
    for shard in shards:
        shard.close()


def test_what_came_after_other_receipts_is_to_be_filtered_so_again() -> None:
    said = filter_again(Path("filtered"), {"parents": [{"sha256": "ab" * 32}]})
    assert said.startswith(FILTER_AGAIN)
    assert said.endswith("--out filtered --key PRIVATE.PEM --overwrite --parent-receipt EARLIER.JSON")
    assert "--parent-receipt" not in filter_again(Path("filtered"), {})


def test_a_python_without_torch_is_told_where_the_trainer_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(app, "find_spec", lambda name: None if name == "torch" else found(name))
    assert app.run(["recipe", str(tmp_path / "world")]) == 2
    assert "this Python has no torch; the trainer runs in the environment" in capsys.readouterr().err
    assert not (tmp_path / "world").exists()
