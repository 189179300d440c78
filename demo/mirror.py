"""Fetching the newest signed snapshot over the REST API, file by file."""

import hashlib
import time
from pathlib import Path
from typing import Any

from demo.people import Api

__all__ = ["fetch_snapshot"]


def fetch_snapshot(api: Api, folder: Path, *, selectors: int) -> Path:
    """Wait until a snapshot of at least `selectors` selectors is published; fetch it and the keys to trust.

    Returns:
        The snapshot's directory under `folder`.

    Raises:
        SystemExit: none is published in time, or a file is not what the manifest says.
    """
    latest = _wait_for(api, selectors)
    target = folder / "snapshot"
    keys = api.get("snapshots/keys")["keys"]
    (folder / "registry.pem").write_text("".join(key["pem"] for key in keys))
    for path in ("manifest.json", "manifest.dsse.json", *latest["manifest"]["files"]):
        answer = api.client.get(f"snapshots/{latest['digest']}/files/{path}")
        answer.raise_for_status()
        place = target / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(answer.content)
    if hashlib.sha256((target / "manifest.json").read_bytes()).hexdigest() != latest["digest"]:
        raise SystemExit("The manifest that arrived is not the one that was announced.")
    return target


def _wait_for(api: Api, selectors: int) -> dict[str, Any]:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        answer = api.client.get("snapshots/latest")
        if answer.status_code == 200:
            latest: dict[str, Any] = answer.json()
            if _count(latest["manifest"]) >= selectors:
                return latest
        time.sleep(0.3)
    raise SystemExit("No snapshot with these claims was published within two minutes.")


def _count(manifest: dict[str, Any]) -> int:
    return sum(sum(segment["counts"].values()) for segment in manifest["segments"])
