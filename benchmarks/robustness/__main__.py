"""`python -m benchmarks.robustness [page]`: measure, write docs/robustness.md; 1 when a promise breaks."""

import os
import sys
from pathlib import Path

from benchmarks.robustness.measure import measure
from benchmarks.robustness.report import LEAST_RECALL, missed, written


def main(arguments: list[str]) -> int:
    page = Path(arguments[0] if arguments else "docs/robustness.md")
    measured = measure(len(os.sched_getaffinity(0)))
    page.write_text(written(measured), encoding="utf-8")
    print(f"{page} is written: {measured.works} works, {len(measured.edits)} edits.")
    for name in missed(measured):
        print(
            f"{name}: recall {measured.edits[name].recall[0]:.2f}, promised {LEAST_RECALL}", file=sys.stderr
        )
    return 1 if missed(measured) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
