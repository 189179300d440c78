"""`make demo` as a person runs it, in a folder of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from demo import laion
from demo.people import SETTINGS
from demo.pictures import COPIES
from demo.service import ROOT


@pytest.mark.slow
@pytest.mark.timeout(450)
def test_demo_tells_the_whole_story_and_stops_everything(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--once", "--steps", "20"],
        cwd=ROOT,
        env={**os.environ, "OPTOUT_DEMO_DIR": str(folder), "OPTOUT_PORT": "0", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.count("✓") == 15
    assert "'co.uk' is a public suffix" in done.stdout
    assert done.stdout.count("The receipt holds.") == 2
    assert "by Mirela Dunn left out" in done.stdout
    assert "The model's statement holds." in done.stdout
    assert done.stdout.count(" 5 of 5") == len(COPIES)
    assert _figure(done.stdout, "pictures of others dropped") == "0"
    receipt = json.loads((folder / "filtered" / "receipt.json").read_text())
    assert receipt["payloadType"] == "application/vnd.in-toto+json"
    shards = sorted((folder / "filtered").glob("*.parquet"))
    kept = sum(pq.read_metadata(path).num_rows for path in shards)
    assert f"{kept:,}" in _figure(done.stdout, "kept")
    _assert_claimed_works_are_gone(shards)
    assert "Everything has stopped." in (folder / "registry" / "serve.log").read_text()


def _figure(report: str, name: str) -> str:
    found = re.search(rf"^{name}\s+([\d,]+)$", report, re.MULTILINE)
    assert found, report
    return found[1]


def _assert_claimed_works_are_gone(shards: list[Path]) -> None:
    """No row shows a claimed work, under whatever size, scheme or proxy."""
    claimed = {url.rsplit("/", 1)[-1] for url in _first_works(500)}
    urls = [url for path in shards for url in pq.read_table(path, columns=["URL"])["URL"].to_pylist()]
    assert urls
    names = {re.sub(r"-\d+x\d+(?=\.jpg)", "", url.rsplit("/", 1)[-1].split("?")[0]) for url in urls}
    wordpress = {name for name in claimed if re.fullmatch(r"[a-z]+-[a-z]+-\d+\.jpg", name)}
    assert wordpress
    assert not names & wordpress


def _first_works(count: int) -> list[str]:
    assert SETTINGS.offset == 0
    urls: list[str] = laion.work_urls(np.arange(count, dtype=np.uint64)).to_pylist()
    return urls
