"""The commands of the chain, each run as a person runs it."""

import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from demo.service import ROOT
from tests.chain.web import Web

__all__ = ["Ran", "download", "optout", "pictures_in", "trainer", "write_claims"]

_IMG2DATASET = ROOT / ".venv" / "img2dataset" / "bin" / "img2dataset"


class Ran:
    """What a command left behind: its exit code, its JSON, what it said beside."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _run(command: Sequence[object], **environment: str) -> Ran:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    return Ran(done)


def optout(*arguments: object, code: int = 0) -> Ran:
    """`optout … --json`, which must exit with `code`."""
    ran = _run([sys.executable, "-m", "optout", *arguments, "--json"])
    assert ran.code == code, ran.out + ran.err
    return ran


def trainer(*arguments: object) -> Ran:
    """`python -m trainer …`."""
    return _run([sys.executable, "-m", "trainer", *arguments])


def download(rows: Path, out: Path, web: Web) -> None:
    """Fetch the pictures of Parquet rows with img2dataset, which reaches every host through `web`."""
    options = {
        "url_list": rows,
        "output_folder": out,
        "input_format": "parquet",
        "url_col": "URL",
        "caption_col": "TEXT",
        "output_format": "webdataset",
        "image_size": 256,
        "resize_mode": "keep_ratio",
        "compute_hash": "sha256",
        "number_sample_per_shard": 24,
        "processes_count": 1,
        "thread_count": 4,
        "enable_wandb": False,
    }
    command = [_IMG2DATASET, *(f"--{name}={value}" for name, value in options.items())]
    quiet = {"NO_ALBUMENTATIONS_UPDATE": "1", "no_proxy": "", "NO_PROXY": ""}
    ran = _run(command, http_proxy=web.address, HTTP_PROXY=web.address, **quiet)
    assert ran.code == 0, ran.out + ran.err


def write_claims(path: Path, claims: Sequence[dict[str, str]]) -> Path:
    """Claims in the exchange format."""
    path.write_text("".join(json.dumps(claim) + "\n" for claim in claims))
    return path


def pictures_in(folder: Path) -> dict[str, str]:
    """The captions of the samples in the tars of `folder`, by the address that they came from."""
    found = {}
    for path in sorted(folder.glob("*.tar")):
        with tarfile.open(path) as archive:
            for entry in archive:
                content = archive.extractfile(entry)
                if content is not None and entry.name.endswith(".json"):
                    sample = json.load(content)
                    found[sample["url"]] = sample["caption"]
    return found
