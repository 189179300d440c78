"""The whole chain with the real commands: from the claims to what may be trained on."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.pictures import caption_of
from tests.chain import world
from tests.chain.steps import Ran, download, optout, pictures_in, trainer, write_claims
from tests.chain.web import Web, serving
from tests.trainer.support import tiny

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Chain:
    """The directories of one run through the chain."""

    home: Path
    web: Web

    @property
    def rows(self) -> Path:
        """Metadata that passed the snapshot, with its receipt."""
        return self.home / "rows"

    @property
    def pictures(self) -> Path:
        """What img2dataset fetched."""
        return self.home / "pictures"

    @property
    def filtered(self) -> Path:
        """The pictures that passed as well, with a receipt that carries that of the rows."""
        return self.home / "filtered"

    @property
    def model(self) -> Path:
        return self.home / "model"

    @property
    def private(self) -> Path:
        return self.home / "keys" / "private.pem"

    @property
    def public(self) -> Path:
        return self.home / "keys" / "public.pem"

    @property
    def snapshot(self) -> Path:
        return self.home / "snapshot"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """Claims become a snapshot, metadata is filtered by it, and what was kept is downloaded."""
    home = tmp_path_factory.mktemp("chain")
    optout("keygen", home / "keys")
    claims = write_claims(home / "claims.jsonl", world.claims())
    with serving(world.web_pages()) as web:
        run = Chain(home, web)
        optout("snapshot", "build", claims, "--key", run.private, "--out", run.snapshot)
        total = world.write_rows(home / "listed" / "part.parquet")
        signed = ("--key", run.private, "--trust", run.public)
        summary = optout(
            "filter", home / "listed", "--snapshot", run.snapshot, "--out", run.rows, *signed
        ).json
        assert (summary["rows"], summary["errors"]) == (total, 0)
        assert summary["reasons"] == {"domain": len(world.DOMAIN), "url": len(world.URL)}
        download(run.rows, run.pictures, web)
    return run


@pytest.fixture(scope="module")
def filtered(chain: Chain) -> Chain:
    """The pictures are filtered too: digests and hashes are known only to whoever has the file."""
    more = ("--parent-receipt", chain.rows / "receipt.json", "--key", chain.private)
    filtered = ("--snapshot", chain.snapshot, "--out", chain.filtered)
    summary = optout("filter", chain.pictures, *filtered, *more).json
    assert summary["reasons"] == {"sha256": len(world.DIGEST), "picture": len(world.PICTURE)}
    assert (summary["kept"], summary["errors"]) == (len(world.FREE), 0)
    return chain


@pytest.fixture(scope="module")
def trained(filtered: Chain) -> Chain:
    """A few steps on what is left."""
    ran = train(filtered)
    assert ran.code == 0, ran.err
    return filtered


def train(chain: Chain, *more: object, data: Path | None = None, out: Path | None = None) -> Ran:
    """`trainer train`, a few steps of a tiny model."""
    where = ("--data", data or chain.filtered, "--out", out or chain.model)
    return trainer("train", *where, "--trust", chain.public, "--steps", 3, *tiny(), *more)


def test_nobody_asks_for_what_was_reserved(chain: Chain) -> None:
    """The filter stands before the download, so that the reserved works are not even fetched."""
    reserved = {work.url for work in world.works() if work.number in (*world.DOMAIN, *world.URL)}
    assert not reserved & chain.web.asked
    assert chain.web.asked >= {work.url for work in world.works()} - reserved


def test_what_was_fetched_came_with_its_captions(chain: Chain) -> None:
    fetched = pictures_in(chain.pictures)
    kept = [work for work in world.works() if work.number in (*world.DIGEST, *world.PICTURE, *world.FREE)]
    assert fetched == {work.url: caption_of(work.number) for work in kept}


def test_the_receipt_of_the_rows_holds(chain: Chain) -> None:
    receipt = chain.rows / "receipt.json"
    checked = optout("verify", receipt, "--snapshot", chain.snapshot, "--trust", chain.public).json
    assert checked["holds"]


def test_both_filters_leave_only_what_nobody_reserved(filtered: Chain) -> None:
    kept = {work.url: caption_of(work.number) for work in world.works() if work.number in world.FREE}
    assert pictures_in(filtered.filtered) == kept


def test_the_receipt_of_the_pictures_carries_that_of_the_rows(filtered: Chain) -> None:
    receipt = filtered.filtered / "receipt.json"
    checked = optout("verify", receipt, "--snapshot", filtered.snapshot, "--trust", filtered.public).json
    assert checked["holds"]
    parents = [finding for finding in checked["findings"] if finding["what"].startswith("parent")]
    assert len(parents) == 1
    optout("keygen", filtered.home / "stranger")
    optout("verify", receipt, "--trust", filtered.home / "stranger" / "public.pem", code=1)


def test_the_model_says_what_it_was_trained_on(trained: Chain) -> None:
    card = (trained.model / "README.md").read_text()
    receipt = hashlib.sha256((trained.filtered / "receipt.json").read_bytes()).hexdigest()
    assert receipt in card
    assert "studio.example" in card
    assert f"{len(world.DIGEST)} by sha256" in card
    # What was left out of the metadata already, by the receipt that the last one carries.
    before = hashlib.sha256((trained.rows / "receipt.json").read_bytes()).hexdigest()
    (told,) = [line for line in card.splitlines() if f"receipt `{before[:16]}`" in line]
    assert f"{len(world.URL)} by url" in told


def test_the_model_is_verified_down_to_its_weights(trained: Chain, tmp_path: Path) -> None:
    assert optout("verify", trained.model, "--trust", trained.public).json["holds"]
    copied = tmp_path / "model"
    shutil.copytree(trained.model, copied)
    weights = copied / "unet" / "diffusion_pytorch_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    checked = optout("verify", copied, "--trust", trained.public, code=1).json
    (bad,) = [finding for finding in checked["findings"] if not finding["holds"]]
    assert (bad["what"], bad["code"]) == ("unet/diffusion_pytorch_model.safetensors", "changed_file")


def test_nothing_but_filtered_data_is_trained_on(filtered: Chain, tmp_path: Path) -> None:
    """The pictures as downloaded: no receipt of their own, and that of what was filtered is not for them."""
    ran = train(filtered, data=filtered.pictures, out=tmp_path / "none")
    assert (ran.code, ran.err.count("optout filter")) == (3, 1)
    ran = train(
        filtered,
        "--receipt",
        filtered.filtered / "receipt.json",
        data=filtered.pictures,
        out=tmp_path / "other",
    )
    assert ran.code == 1
    assert not list(tmp_path.iterdir())


def test_one_more_claim_and_the_same_data_is_refused_until_it_is_filtered_again(
    trained: Chain, tmp_path: Path
) -> None:
    """Somebody finds her picture in the data after all, and claims it by its hash."""
    late = world.FREE[4]
    claims = write_claims(tmp_path / "claims.jsonl", [*world.claims(), world.claim_by_hash(late, "Lena")])
    newer, again = tmp_path / "newer", tmp_path / "again"
    optout("snapshot", "build", claims, "--key", trained.private, "--out", newer)

    ran = train(trained, "--snapshot", newer, "--json", out=tmp_path / "none")
    error = json.loads(ran.out)["error"]
    assert (ran.code, error["code"]) == (1, "opted_out_since")
    assert error["message"].count("denied by picture") == 1
    rechecked = trainer(
        "recheck", "--data", trained.filtered, "--snapshot", newer, "--trust", trained.public, "--json"
    )
    assert (rechecked.code, len(rechecked.json["opted_out"])) == (1, 1)

    more = ("--parent-receipt", trained.rows / "receipt.json", "--key", trained.private)
    summary = optout("filter", trained.pictures, "--snapshot", newer, "--out", again, *more).json
    assert summary["kept"] == len(world.FREE) - 1
    ran = train(trained, "--snapshot", newer, data=again, out=tmp_path / "model")
    assert ran.code == 0, ran.err
    assert optout("verify", tmp_path / "model", "--trust", trained.public).json["holds"]
    assert world.url_of(late) not in pictures_in(again)
