"""Builds that are killed or run out of disk leave nothing under the final name."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from optout.errors import UsageError
from optout.snapshot import build_snapshot, verify_snapshot
from tests.unit.snapshot_support import KEY, claim, table

ROWS = [claim("url", f"example.org/{number}.jpg") for number in range(2000)]

BUILD = """
    import sys
    from pathlib import Path
    sys.path.insert(0, {root!r})
    from tests.unit.snapshot_support import KEY, claim, table
    from optout.snapshot import build_snapshot

    def claims():
        yield table([claim("url", f"example.org/{{number}}.jpg") for number in range(2000)])
        {during}

    try:
        build_snapshot(claims(), Path(sys.argv[1]), private_key=KEY)
    except Exception as error:
        sys.exit(f"{{type(error).__name__}} {{getattr(error, 'code', '')}}: {{error}}")
"""


def build_in_child(out: Path, during: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(BUILD.format(root=str(Path(__file__).parents[2]), during=during))
    command = [sys.executable, "-c", code, str(out)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_build_leaves_nothing_and_the_next_one_clears_up(tmp_path: Path) -> None:
    out = tmp_path / "snapshot"
    with build_in_child(out, 'print("here", flush=True); sys.stdin.read()') as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "here\n"
        os.kill(child.pid, signal.SIGKILL)
    assert not out.exists()
    left = list(tmp_path.iterdir())
    assert [path.name.startswith(".snapshot.partial-") for path in left] == [True]
    build_snapshot([table(ROWS)], out, private_key=KEY)
    verify_snapshot(out, trust=[KEY.public])
    assert list(tmp_path.iterdir()) == [out]


def test_a_running_build_is_not_cleared_away(tmp_path: Path) -> None:
    out = tmp_path / "snapshot"

    def claims() -> Iterator[pa.Table]:
        build_snapshot([table(ROWS)], out, private_key=KEY)
        yield table(ROWS[:1])

    with pytest.raises(UsageError, match="another snapshot"):
        build_snapshot(claims(), out, private_key=KEY)
    verify_snapshot(out, trust=[KEY.public])
    assert list(tmp_path.iterdir()) == [out]


def test_a_full_disk_is_said_and_leaves_nothing(tmp_path: Path) -> None:
    # A limit on file sizes fails the same writes that a full disk does, without the right to mount one.
    limit = "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
    limit += "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    with build_in_child(tmp_path / "snapshot", limit) as child:
        _, said = child.communicate(timeout=120)
    assert "OptoutError disk_full: cannot write" in said
    assert str(tmp_path / "snapshot") in said
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_wrong_usage(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/snapshot") as caught:
        build_snapshot([table(ROWS)], tmp_path / "file" / "snapshot", private_key=KEY)
    assert caught.value.code == "unwritable"
