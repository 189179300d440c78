"""Take pictures of every page, light and dark, wide and narrow, into test-results/screenshots/."""

import os
import sys
from pathlib import Path

import pytest

FOLDER = Path("test-results", "screenshots")


def main() -> int:
    os.environ["OPTOUT_SCREENSHOTS"] = str(FOLDER.resolve())
    status = pytest.main([str(Path(__file__).with_name("test_pages.py"))])
    sys.stdout.write(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}/\n")
    return int(status)


if __name__ == "__main__":
    sys.exit(main())
