"""The supervisor: what `manage.py serve` starts, keeps running, restarts and stops."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from config.embedded.process import free_port
from tests.server.serving import (
    PARTS,
    ROOT,
    Served,
    answers,
    as_nobody,
    end,
    environment,
    launch,
    reachable,
    serving,
    wait_for,
)

__all__ = ["reachable"]


def _modes(path: Path) -> dict[Path, tuple[int, int, int]]:
    """Mode and owner of a folder and all above it."""
    stats = {folder: folder.stat() for folder in (path, *path.parents)}
    return {folder: (stat.st_mode, stat.st_uid, stat.st_gid) for folder, stat in stats.items()}


@pytest.mark.slow
@pytest.mark.timeout(600)  # two registries start at once, one of them compiles its kernels
def test_two_copies_side_by_side_and_nothing_left_of_them(reachable: Path) -> None:
    first, second = (reachable / "first", reachable / "second")
    ready = [reachable / "first.ready", reachable / "second.ready"]
    port = str(free_port())
    before = _modes(reachable) | _modes(ROOT) | _modes(Path(sys.prefix, "lib"))
    copies = [launch(first, ready[0], OPTOUT_PORT=port), launch(second, ready[1], prefix=as_nobody())]
    try:
        for copy, file in zip(copies, ready, strict=True):
            copy.wait_ready(file)
        assert copies[0].web == f"http://127.0.0.1:{port}/" != copies[1].web
        _check_copy(copies[0])
        _check_copy(copies[1])
        _check_refusal(environment(first), f"{first} is in use by a running registry")
        other = environment(reachable / "other", OPTOUT_PORT=port)
        _check_refusal(other, f"port {port}: Address already in use")
        # After less than ten seconds what does not stop is killed; a busy machine takes its time over that.
        assert copies[0].stop(signal.SIGINT) < 50
        assert copies[1].stop(signal.SIGTERM) < 50
        assert [copy.process.returncode for copy in copies] == [0, 0]
    finally:
        for copy in copies:
            end(copy)
    assert _modes(reachable) | _modes(ROOT) | _modes(Path(sys.prefix, "lib")) == before


def _check_copy(copy: Served) -> None:
    assert set(copy.status["children"]) == PARTS
    assert answers(f"{copy.web}readyz") == 200
    assert answers(f"{copy.web}mail/") == 200
    text = copy.output.read_text()
    for address in (copy.web, f"{copy.web}api/docs/", f"{copy.web}admin/", f"{copy.web}mail/"):
        assert address in text
    private = [*(copy.data / "secrets").iterdir(), copy.data / "keys" / "private.pem"]
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}


def _check_refusal(env: dict[str, str], why: str) -> None:
    command = [sys.executable, str(ROOT / "manage.py"), "serve"]
    result = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert result.returncode == 1
    assert why in result.stderr


@pytest.mark.slow
def test_what_is_killed_comes_back_and_dies_with_the_supervisor(reachable: Path) -> None:
    data = reachable / "data"
    with serving(data) as copy:
        web = copy.web
        for name in ("web", "worker", "beat", "valkey", "postgres"):
            _kill_and_wait_for_return(copy, name)
        wait_for(lambda: answers(f"{web}readyz") == 200, seconds=20)
        assert copy.web == web
        family = copy.family()
        copy.process.kill()
        copy.process.wait()
        _, alive = psutil.wait_procs(family[1:], timeout=10)
        assert not alive
    with serving(data) as again:
        assert answers(f"{again.web}readyz") == 200


def _kill_and_wait_for_return(copy: Served, name: str) -> None:
    before = copy.status["children"][name]
    os.kill(before["pid"], signal.SIGKILL)
    wait_for(lambda: _starts(copy, name) > before["starts"], seconds=30)
    assert copy.status["children"][name]["pid"] != before["pid"]


def _starts(copy: Served, name: str) -> int:
    child: dict[str, int] = copy.status["children"].get(name, {})
    return child.get("starts", 0)
