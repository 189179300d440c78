"""A key pair, a small snapshot, and the command run in this process."""

from collections.abc import Callable
from pathlib import Path

import pytest

from optout import keys
from optout.cli.app import run
from tests.cli.command_support import CAPTIONS, CLAIMS, URLS, Home, Ran, build, write_rows


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    root = tmp_path_factory.mktemp("home")
    keys.generate(root / "keys")
    keys.generate(root / "stranger")
    private = root / "keys" / "private.pem"
    return Home(
        private,
        root / "keys" / "public.pem",
        root / "stranger" / "public.pem",
        build(root / "snapshot", CLAIMS, private),
        build(root / "other", CLAIMS[:1], private),
    )


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    """A file with one row of each kind; row i has number i."""
    return write_rows(tmp_path / "rows.parquet", URLS, TEXT=CAPTIONS, number=range(len(URLS)))


@pytest.fixture
def optout(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs the command in this process."""

    def go(*arguments: object) -> Ran:
        code = run([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return go


@pytest.fixture
def optout_filter(optout: Callable[..., Ran], home: Home) -> Callable[..., Ran]:
    """Runs `optout filter … --json` with the snapshot and key of `home`, one process."""

    def go(source: object, out: object, *arguments: object) -> Ran:
        fixed = ("--snapshot", home.snapshot, "--key", home.private, "--processes", 1, "--json")
        return optout("filter", source, "--out", out, *fixed, *arguments)

    return go
