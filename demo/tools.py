"""What the parts of the demonstration share: its folder, the steps on the screen, the commands."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.status import Status

from demo.service import ROOT

__all__ = ["CONSOLE", "HOME", "keys_to_trust", "optout", "step"]

HOME = Path(os.environ.get("OPTOUT_DEMO_DIR", ROOT / "var" / "demo")).absolute()
CONSOLE = Console(highlight=False)
_NUMBERS = count(1)


@contextmanager
def step(text: str) -> Iterator[Status]:
    """Number a step, show that it goes on, and how long it took."""
    number = next(_NUMBERS)
    start = time.monotonic()
    with CONSOLE.status(f"{number}  {text} …") as status:
        yield status
    CONSOLE.print(f"[green]✓[/] [dim]{number:>2}[/]  {text} [dim]{time.monotonic() - start:.1f} s[/]")


def optout(*arguments: str | Path) -> dict[str, Any]:
    """Run the `optout` command as a person would; its JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "optout", *map(str, arguments), "--json"], stdout=subprocess.PIPE
    )
    if done.returncode:
        raise SystemExit(f"optout {' '.join(map(str, arguments))} exited with {done.returncode}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def keys_to_trust() -> tuple[str | Path, ...]:
    """Options that trust the registry, which signs snapshots, and the pipeline, which signs receipts."""
    return "--trust", HOME / "keys" / "public.pem", "--trust", HOME / "registry.pem"
