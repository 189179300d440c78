"""Claims and rows that the tests of the command share, and ways to run it."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import optout
from optout import keys
from optout.exchange import read_claims
from optout.snapshot import build_snapshot

COMMAND = (sys.executable, "-m", "optout")
CLAIMS = [
    {"selector": "domain", "value": "denied.example", "decision": "deny", "owner": "dora"},
    {"selector": "url", "value": "https://one.example/a.jpg", "decision": "deny", "owner": "anna"},
    {
        "selector": "prefix",
        "value": "https://one.example/terms",
        "decision": "terms",
        "owner": "anna",
        "terms_url": "https://one.example/licence",
    },
    {"selector": "url", "value": "https://one.example/free.jpg", "decision": "allow", "owner": "anna"},
    {"selector": "sha256", "value": "ab" * 32, "decision": "deny", "owner": "shaun"},
    {"selector": "md5", "value": "cd" * 16, "decision": "deny", "owner": "mido"},
    {"selector": "name", "value": "Mara Lindqvist", "decision": "deny", "owner": "mara"},
]
URLS = [
    "https://www.denied.example/x.png",
    "http://one.example/a.jpg",
    "https://one.example/terms/b.jpg",
    "https://one.example/free.jpg",
    "https://other.example/c.jpg",
    "javascript:alert(1)",
    None,
]
OUTCOMES = ["denied", "denied", "terms", "allowed", "unreserved", "error", "error"]
CAPTIONS = ["", "", "", "", "A portrait by mara LINDQVIST, 1999", "", None]


@dataclass(frozen=True)
class Ran:
    """What a run of the command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Home:
    """Keys and a snapshot, made once."""

    private: Path
    public: Path
    stranger: Path
    snapshot: Path
    other_snapshot: Path


def write_claims(path: Path, claims: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(claim) + "\n" for claim in claims))
    return path


def build(folder: Path, claims: list[dict[str, str]], private: Path) -> Path:
    source = write_claims(folder.with_suffix(".jsonl"), claims)
    batches = list(read_claims(source))
    assert not any(batch.rejected for batch in batches)
    build_snapshot([batch.claims for batch in batches], folder, private_key=keys.load_private(private))
    return folder


def write_rows(path: Path, urls: list[str | None], **columns: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"URL": pa.array(urls, pa.string()), **columns}), path)
    return path


def start(*arguments: object, command: Sequence[str] = COMMAND, **options: Any) -> subprocess.Popen[str]:
    """Starts the real command (or another) in a process of its own."""
    command = [*command, *(str(argument) for argument in arguments)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, **{**pipes, **options}, env={**os.environ, "PYTHONWARNINGS": "default"})


def finish(process: subprocess.Popen[str]) -> Ran:
    # Long enough for a busy machine; a test that takes this long on an idle one hangs.
    out, err = process.communicate(timeout=280)
    return Ran(process.returncode, out, err)


def copy_compiled(package: Path) -> None:
    """Put the machine code of our sources beside the same sources in `package`."""
    sources = Path(optout.__file__).parent
    for path in sources.rglob("__pycache__/*.nb[ci]"):
        copy = package / path.relative_to(sources)
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(path, copy)
