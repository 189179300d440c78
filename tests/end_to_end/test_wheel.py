"""The `optout` distribution: built, installed alone, and used without the server's packages."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from demo.service import ROOT
from tests.cli.command_support import copy_compiled

_RUN = """
import sys

SERVER = {"django", "rest_framework", "celery", "redis", "psycopg", "registry", "config", "api"}

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in SERVER:
            raise ImportError(f"the library asked for {name}")

sys.meta_path.insert(0, Refuse())
from optout.cli import main
main()
"""


def _run(*command: str | Path, cwd: Path, **environment: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.slow
def test_wheel_installs_and_works_alone(tmp_path: Path) -> None:
    # Of a copy: setuptools builds inside the tree, and would take along what an earlier build left there.
    source = tmp_path / "source"
    shutil.copytree(ROOT / "optout", source / "optout", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip_wheel = (sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", tmp_path)
    _run(*pip_wheel, source, cwd=tmp_path)
    (wheel,) = tmp_path.glob("optout-*.whl")
    site = tmp_path / "site"
    _run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel, cwd=tmp_path)
    assert {path.name for path in site.iterdir() if path.suffix != ".dist-info"} <= {"optout", "bin"}
    # The same sources, so their machine code is the same: compiling takes most of a minute.
    copy_compiled(site / "optout")

    def optout(*arguments: str | Path) -> str:
        return _run(sys.executable, "-c", _RUN, *arguments, cwd=tmp_path, PYTHONPATH=str(site))

    claim = {
        "selector": "domain",
        "value": "example.org",
        "decision": "deny",
        "uses": "ai-train",
        "owner": "ada",
    }
    (tmp_path / "claims.jsonl").write_text(json.dumps(claim) + "\n")
    optout("keygen", "keys")
    optout("snapshot", "build", "claims.jsonl", "--key", "keys/private.pem", "--out", "snapshot")
    optout("snapshot", "verify", "snapshot", "--trust", "keys/public.pem")
    answer = json.loads(optout("check", "http://www.example.org/a.jpg", "--snapshot", "snapshot", "--json"))
    assert "denied" in json.dumps(answer)
