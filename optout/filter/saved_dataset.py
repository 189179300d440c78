"""What Hugging Face's `datasets` writes beside the Arrow files of a data set that it saves to disk.

`state.json` lists the files and names the content by a fingerprint, `dataset_info.json` says what the columns
are; `dataset_dict.json`, a folder above, lists the splits. Without them `load_from_disk` finds nothing.
"""

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from optout.errors import BadInput
from optout.filter.kinds import Job
from optout.filter.modes import Mode
from optout.filter.settings import plan_of
from optout.filter.sinks import ANNOTATIONS

__all__ = ["described_by", "only_listed", "rewritten"]

_STATE, _INFO, _SPLITS = "state.json", "dataset_info.json", "dataset_dict.json"
#: What the info says of sizes, by split and in all: no longer true of what is kept, and nobody needs it.
_SIZES = ("splits", "dataset_size", "size_in_bytes")
_FINGERPRINT_DIGITS = 16


def only_listed(paths: list[Path]) -> list[Path]:
    """The Arrow files that are data: beside a `state.json` those that it lists, not what `datasets` caches.

    Raises:
        BadInput: what lies beside them is no description, or of a data set whose rows are in another order
            than in its files (`bad_dataset`).
    """
    folders = defaultdict(list)
    for path in paths:
        folders[path.parent].append(path)
    listed = []
    for folder, found in folders.items():
        names = _data_files(folder)
        listed += found if names is None else [path for path in found if path.name in names]
    return listed


def described_by(path: Path, root: Path) -> list[Path]:
    """The descriptions that go with the Arrow file at `path`: all with the first file of each folder."""
    names = _data_files(path.parent)
    if names is None or path.name != names[0]:
        return []
    splits = path.parent.with_name(_SPLITS)
    above = [splits] if path.parent != root and splits.is_file() and _leads(path, splits) else []
    return [path.with_name(_STATE), path.with_name(_INFO), *above]


def rewritten(job: Job, path: Path, name: str) -> bytes:
    """The description at `path` of what was filtered, made to agree with it.

    The fingerprint is a new one: by it `datasets` finds in its cache what it once computed of the same rows.
    """
    content = _load(path, name)
    if path.name == _STATE:
        plan = plan_of(job.snapshot.digest, job.question, job.settings)
        named = json.dumps([content.get("_fingerprint"), plan], sort_keys=True, default=str)
        content["_fingerprint"] = hashlib.sha256(named.encode()).hexdigest()[:_FINGERPRINT_DIGITS]
    elif path.name == _INFO:
        content = {key: value for key, value in content.items() if key not in _SIZES}
        if job.settings.mode is Mode.ANNOTATE and isinstance(content.get("features"), dict):
            content["features"] |= {
                field.name: {"dtype": str(field.type), "_type": "Value"} for field in ANNOTATIONS
            }
    return json.dumps(content, indent=2).encode()


def _data_files(folder: Path) -> list[str] | None:
    """Names of the files of the data set saved in `folder`; None if none is."""
    state = folder / _STATE
    if not state.is_file() or not (folder / _INFO).is_file():
        return None
    content = _load(state, str(state))
    if content.get("_indices_data_files") or content.get("_indices_files"):
        raise BadInput(
            f"{state}: the data set chooses and orders its rows by indices; save it again with "
            "`flatten_indices().save_to_disk(…)` first",
            code="bad_dataset",
        )
    try:
        names = [str(each["filename"]) for each in content["_data_files"]]
    except (KeyError, TypeError) as error:
        raise BadInput(f"{state}: does not list the files of a data set", code="bad_dataset") from error
    for name in names:
        if Path(name).name != name or not (folder / name).is_file():
            raise BadInput(f"{state}: lists {name!a}, which is not there", code="bad_dataset")
    return names or None


def _leads(path: Path, splits: Path) -> bool:
    """Whether the data set of `path` is the first one of those that `splits` lists."""
    names = _load(splits, str(splits)).get("splits")
    return isinstance(names, list) and bool(names) and names[0] == path.parent.name


def _load(path: Path, name: str) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"{name}: no JSON that can be read: {error}", code="bad_dataset") from error
    if not isinstance(content, dict):
        raise BadInput(f"{name}: describes no data set", code="bad_dataset")
    return content
