"""Where compiled code is kept by somebody who may write neither beside the source nor into a home."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import optout
from tests.cli.command_support import Home, Ran, copy_compiled, finish, start
from tests.server.serving import as_nobody

LOOK = "import os, optout.compiled; print(os.environ.get('NUMBA_CACHE_DIR', ''))"
Run = Callable[..., Ran]


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every account may use, with an installed `optout` that none may write to."""
    # pytest's own folders are closed to other accounts.
    folder = Path(tempfile.mkdtemp(prefix="optout-cache-"))
    folder.chmod(0o755)
    for name in ("home", "tmp"):
        (folder / name).mkdir()
        (folder / name).chmod(0o777)
    package = folder / "site" / "optout"
    shutil.copytree(Path(optout.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    set_modes(package, 0o555)
    yield folder
    set_modes(package, 0o755)
    shutil.rmtree(folder)


def set_modes(package: Path, mode: int) -> None:
    """Of a folder and all folders below it."""
    for path in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        path.chmod(mode)


@pytest.fixture
def run(place: Path) -> Run:
    """Runs Python there as an ordinary user: where we are root, as nobody."""

    def go(*arguments: object, home: str = "/nonexistent", **more: str) -> Ran:
        variables = {"HOME": home, "TMPDIR": str(place / "tmp"), "PYTHONPATH": str(place / "site"), **more}
        settings = [f"{name}={value}" for name, value in variables.items()]
        command = [*as_nobody(), "env", "-u", "NUMBA_CACHE_DIR", *settings, sys.executable, "-B"]
        return finish(start(*arguments, command=command, cwd=place))

    return go


def chosen(ran: Ran) -> str:
    """What `LOOK` said: the folder, or nothing where the choice is left to numba."""
    assert ran.code == 0, ran.err
    return ran.out.strip()


@pytest.mark.slow
def test_without_a_home_the_command_works_and_compiles_once(home: Home, place: Path, run: Run) -> None:
    # Read by the other account, too.
    snapshot = shutil.copytree(home.snapshot, place / "snapshot")
    for path in (snapshot, *snapshot.rglob("*")):
        path.chmod(0o755)
    ran = run("-m", "optout", "check", "--sha256", "ab" * 32, "--snapshot", snapshot, "--json")
    assert [result["outcome"] for result in ran.json["results"]] == ["denied"], ran.err
    (folder,) = (place / "tmp").glob("optout-*")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert list(folder.rglob("*.nbi"))
    assert chosen(run("-c", LOOK)) == str(folder)


@pytest.mark.slow
def test_what_the_installation_compiled_is_not_compiled_again(home: Home, place: Path, run: Run) -> None:
    """As after an installation by root and a first use: compiled code lies beside the source, read-only."""
    package = place / "site" / "optout"
    ran = finish(start("-m", "optout.warm", command=[sys.executable]))
    assert ran.code == 0, ran.err
    set_modes(package, 0o755)
    copy_compiled(package)
    set_modes(package, 0o555)
    snapshot = shutil.copytree(home.snapshot, place / "snapshot")
    for path in (snapshot, *snapshot.rglob("*")):
        path.chmod(0o755)
    asked = ("-m", "optout", "check", "https://one.example/a.jpg", "--snapshot", snapshot, "--json")
    ran = run(*asked, home=str(place / "home"), NUMBA_DEBUG_CACHE="1")
    assert "data loaded from" in ran.out, ran.err
    assert "saved to" not in ran.out
    assert '"denied"' in ran.out


def test_a_home_or_a_choice_of_ones_own_comes_first(place: Path, run: Run) -> None:
    assert chosen(run("-c", LOOK, home=str(place / "home"))) == ""
    assert chosen(run("-c", LOOK, NUMBA_CACHE_DIR=str(place / "home"))) == str(place / "home")
    assert not list((place / "tmp").iterdir())


def test_a_folder_that_others_may_write_to_is_not_used(place: Path, run: Run) -> None:
    first = Path(chosen(run("-c", LOOK)))
    assert first.parent == place / "tmp"
    first.chmod(0o777)
    second = Path(chosen(run("-c", LOOK)))
    assert second.parent == place / "tmp"
    assert second != first
    assert second.stat().st_mode & 0o777 == 0o700
