"""What the embedded services write down under the data directory for those who come after them.

run/services.json    addresses of the running PostgreSQL and Valkey
secrets/<name>       generated secrets, readable by their owner only
"""

import json
import os
import secrets
import shutil
import tempfile
from pathlib import Path

from optout import keys

__all__ = ["read_services", "secret", "services_file", "signing_key", "write_private", "write_services"]


def services_file(data: Path) -> Path:
    """Where the addresses stand."""
    return data / "run" / "services.json"


def read_services(data: Path) -> dict[str, str]:
    """Addresses by name (`database`, `valkey`); empty when nothing runs."""
    try:
        services: dict[str, str] = json.loads(services_file(data).read_text())
    except FileNotFoundError:
        return {}
    return services


def write_services(data: Path, services: dict[str, str]) -> None:
    """Record the addresses; they hold passwords, so only the owner may read the file."""
    write_private(services_file(data), json.dumps(services, indent=2) + "\n")


def secret(data: Path, name: str) -> str:
    """The generated secret called `name`, made when first asked for; two first callers agree."""
    path = data / "secrets" / name
    if not path.exists():
        _create_private(path, secrets.token_urlsafe(48))
    return path.read_text().strip()


def signing_key(data: Path) -> Path:
    """The private key that signs snapshots, made when first asked for.

    Two first callers agree: a pair is made aside and moved into place as a whole.
    """
    folder = data / "keys"
    if not folder.exists():
        data.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(dir=data, prefix=".keys."))
        keys.generate(aside)
        try:
            aside.rename(folder)
        except OSError:  # somebody else was first
            shutil.rmtree(aside)
    return folder / "private.pem"


def write_private(path: Path, text: str) -> None:
    """Put `text` under `path` at once, with mode 0600."""
    temporary = _private_temporary(path, text)
    temporary.replace(path)


def _create_private(path: Path, text: str) -> None:
    """Like `write_private`, but an existing file is left as it is."""
    temporary = _private_temporary(path, text)
    try:
        os.link(temporary, path)
    except FileExistsError:
        pass
    finally:
        temporary.unlink()


def _private_temporary(path: Path, text: str) -> Path:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    return Path(name)
