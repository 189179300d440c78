"""Whatever part of the library somebody imports first, it loads."""

import pkgutil
import subprocess
import sys

import optout

# In one process, which loads Arrow, numpy and numba once and our modules anew for each.
_FIRST = """
import sys
import numpy, numba, pyarrow
for name in sys.argv[1:]:
    for loaded in [module for module in sys.modules if module.split(".")[0] == "optout"]:
        del sys.modules[loaded]
    try:
        __import__(f"optout.{name}")
    except ImportError as error:
        sys.exit(f"import optout.{name}: {error}")
"""


def test_every_part_can_be_imported_first() -> None:
    parts = [part.name for part in pkgutil.iter_modules(optout.__path__) if part.name != "__main__"]
    assert {"engine", "filter", "snapshot"} <= set(parts)
    ran = subprocess.run(
        [sys.executable, "-c", _FIRST, *parts], capture_output=True, text=True, timeout=240, check=False
    )
    assert ran.returncode == 0, ran.stderr
