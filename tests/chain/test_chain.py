"""The whole chain with the real commands: from the claims to what may be trained on."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from demo.pictures import caption_of
from tests.chain import world
from tests.chain.steps import download, optout, pictures_in, write_claims
from tests.chain.web import Web, serving

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


def test_nobody_asks_for_what_was_reserved(chain: Chain) -> None:
    """The filter stands before the download, so that the reserved works are not even fetched."""
    reserved = {work.url for work in world.works() if work.number in (*world.DOMAIN, *world.URL)}
    assert not reserved & chain.web.asked
    assert chain.web.asked >= {work.url for work in world.works()} - reserved


def test_what_was_fetched_came_with_its_captions(chain: Chain) -> None:
    fetched = pictures_in(chain.pictures)
    kept = [work for work in world.works() if work.number in (*world.DIGEST, *world.FREE)]
    assert fetched == {work.url: caption_of(work.number) for work in kept}


def test_the_receipt_of_the_rows_holds(chain: Chain) -> None:
    receipt = chain.rows / "receipt.json"
    checked = optout("verify", receipt, "--snapshot", chain.snapshot, "--trust", chain.public).json
    assert checked["holds"]
