"""The command killed at a moment that the test chooses: when a file is about to get its name."""

import sys

__all__ = ["killed_at"]

# Python tells its audit hooks of every file before it is renamed; this one ends the process there and then.
_CODE = """
import os, signal, sys
name, count = sys.argv[1], int(sys.argv[2])
seen = 0

def hook(event, arguments):
    global seen
    if event == "os.rename" and os.path.basename(os.fspath(arguments[1])) == name:
        seen += 1
        if seen == count:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(hook)
from optout.cli.app import run
sys.exit(run(sys.argv[3:]))
"""


def killed_at(name: str, count: int = 1) -> list[str]:
    """What starts an `optout` that is killed when a file is to be called `name` for the `count`th time."""
    return [sys.executable, "-c", _CODE, name, str(count)]
