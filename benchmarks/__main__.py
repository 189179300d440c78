"""`python -m benchmarks [part …]`: run the parts one after the other, each in a process of its own."""

import subprocess
import sys

PARTS = (
    "locators",
    "names",
    "snapshot",
    "filtering",
    "http",
    "selectors",
    "pictures",
    "matching",
    "tars",
    "embeddings",
    "training",
)


def main(asked: list[str]) -> int:
    """Run the parts asked for, or all; exit 1 when any figure fell short of its aim."""
    unknown = [part for part in asked if part not in PARTS]
    if unknown:
        print(f"unknown part {', '.join(unknown)}; there are: {', '.join(PARTS)}", file=sys.stderr)
        return 2
    failed = [
        part
        for part in asked or PARTS
        if subprocess.run([sys.executable, "-m", f"benchmarks.{part}"]).returncode
    ]
    if failed:
        print(f"fell short or failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
