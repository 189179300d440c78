"""The report as Markdown: one line an edit."""

import numpy as np

from benchmarks.robustness.edits import BY_ORIENTATIONS, BY_VIEWS
from benchmarks.robustness.measure import COUNTED, Counts, Measured
from benchmarks.robustness.works import NAMES

__all__ = ["LEAST_RECALL", "missed", "written"]

LEAST_RECALL = 0.9

_HEAD = """\
# What is found after an edit, and what is taken for something else

`make robustness` makes this page. {works} works are claimed by the fingerprint of the file that a creator
would hand in; {refused} more were too plain to be claimed. Every work is edited, saved and looked up by the
engine that filters data sets, against all of them. The pictures come with scikit-image: {sources}
photographs, textures, scans and micrographs, each as a whole and, where they are large, cut into halves or
quarters as works of their own. There are few, so a share of 0.02 is one picture, and other material will
differ: logos, text and memes do worse.

**Recall** is the share of works found in that tier or a stronger one: *match* is what a data set is filtered
by unless its owner asks for more. Beside it are the peers, used as their READMEs say, with the whole picture
only: `imagehash.phash` within 8 bits (what proposes in ours, but deciding alone), and
`pdqhash.compute_dihedral`, all eight orientations, within the 31 bits and from the quality of 50 that PDQ's
authors recommend. **Wrong** is how many pairs of an edited picture and a work of another source were found,
of {pairs:,} a line, in the order of the columns.

"""

#: The edits after which works are promised to be found as a match.
_PROMISED = {**BY_VIEWS, **BY_ORIENTATIONS}


_PROMISE = """\
● Padding, letterbox, border, centre crop and turning, which a plain hash misses and the views and
orientations meet: a recall of {least} is promised as a match. img2dataset pads and crops while it reduces to
256 pixels; what is lost by that are fine regular textures, of which PDQ moves by more than 31 bits, and scans
whose light margins are stripped along with white padding. `make robustness` fails where less is found.
{held}

"""


def written(measured: Measured) -> str:
    """The page."""
    first = next(iter(measured.edits.values()))
    head = _HEAD.format(works=measured.works, refused=measured.refused, sources=len(NAMES), pairs=first.pairs)
    lines = [
        "| edit | match | probable | review | imagehash | pdqhash | wrong |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [_line(name, counts) for name, counts in measured.edits.items()]
    return head + "\n".join(lines) + "\n\n" + _promise(measured) + _false_positives(measured) + _LIMITS


def missed(measured: Measured) -> list[str]:
    """Edits of which more is promised than was found."""
    return [name for name in _PROMISED if measured.edits[name].recall[0] < LEAST_RECALL]


def _line(name: str, counts: Counts) -> str:
    mark = " ●" if name in _PROMISED else ""
    recall = " | ".join(f"{share:.2f}" for share in counts.recall)
    return f"| {name}{mark} | {recall} | {' / '.join(map(str, counts.wrong))} |"


def _promise(measured: Measured) -> str:
    short = missed(measured)
    held = f"**Fallen short of: {'; '.join(short)}.**" if short else "All of it holds."
    return _PROMISE.format(least=LEAST_RECALL, held=held)


def _false_positives(measured: Measured) -> str:
    """Of all edits together, and of the pictures that nobody claims."""
    together = Counts(
        np.zeros(len(COUNTED)),
        np.sum([counts.wrong for counts in measured.edits.values()], axis=0),
        sum(counts.pairs for counts in measured.edits.values()),
    )
    lines = ["| | pairs | " + " | ".join(COUNTED) + " |", "|---|---|" + "---|" * len(COUNTED)]
    for name, counts in (
        ("edited pictures, all edits", together),
        ("pictures nobody claims", measured.others),
    ):
        rates = " | ".join(_rate(int(wrong), counts.pairs) for wrong in counts.wrong)
        lines.append(f"| {name} | {counts.pairs:,} | {rates} |")
    return (
        "## How often something else is found\n\n"
        "False positives a pair, by tier (that tier or a stronger one). Where none was seen, the bound in\n"
        "parentheses holds with a confidence of 95 % (three by the number of pairs).\n\n"
        + "\n".join(lines)
        + "\n\n"
    )


def _rate(wrong: int, pairs: int) -> str:
    return f"{wrong} ({wrong / pairs:.1e})" if wrong else f"0 (< {3 / pairs:.0e})"


_LIMITS = """\
The pictures nobody claims are 200 faces and walls and 1,500 drawn ones with the spectrum of photographs.
Rates at 1, 10 and 100 million claims need more pictures than these.

## What hashes do not find

Crops of more than a few per cent, rotations beyond two degrees, captions added below, collages and
screenshots are for [embeddings](embeddings.md). No weights were at hand where this page was made, so it has
no column for them.
"""
