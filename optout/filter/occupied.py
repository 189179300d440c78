"""What an output directory holds already: files of a filter run may be replaced, other people's never."""

from collections.abc import Collection, Iterator
from pathlib import Path

from optout.errors import UsageError
from optout.filter.marker import begun_files, load_result, remove_output

__all__ = ["require_ours"]

_MARKS = (".done.json", ".begun.json")


def require_ours(out: Path, outputs: Collection[str], known: Collection[str], *, overwrite: bool) -> None:
    """Refuse a directory with files that no receipt could speak of.

    Files of a run that was killed while it named them are removed; with `overwrite` also those of shards that
    are gone.

    Args:
        out: the output directory.
        outputs: names of the outputs to come.
        known: names of files that belong to no shard.
        overwrite: whether the outputs to come may replace files.

    Raises:
        UsageError: there is such a file (`output_exists`).
    """
    owners = _owners(out)
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        if path.is_dir() or any(part.startswith(".") for part in path.relative_to(out).parts):
            continue
        owner = owners.get(name)
        if name in known or owner in outputs:
            continue
        if overwrite and (owner is not None or name in outputs):
            if owner is not None:
                remove_output(out / owner, [name], out)
            continue
        raise UsageError(_refusal(path, owner, expected=name in outputs), code="output_exists")


def _refusal(path: Path, owner: str | None, *, expected: bool) -> str:
    if owner is not None:
        return f"{path} is of an earlier run with other inputs; use --overwrite or another --out"
    if expected:
        return f"{path} is there already and no filter run finished it; use --overwrite or another --out"
    return f"{path} was not written by a filter run; choose another --out"


def _owners(out: Path) -> dict[str, str]:
    """For every file that a run wrote, the output beside which its marker stands."""
    owners: dict[str, str] = {}
    for output in _marked(out):
        name = output.relative_to(out).as_posix()
        begun = begun_files(output)
        if begun:
            remove_output(output, begun, out)
            continue
        result = load_result(output)
        # Of a damaged marker nothing is known but the one file that it stands beside.
        owners |= dict.fromkeys(result.outputs if result else [name], name)
    return owners


def _marked(out: Path) -> Iterator[Path]:
    found = {path.with_name(path.name[1 : -len(mark)]) for mark in _MARKS for path in out.rglob(f".*{mark}")}
    yield from sorted(found)
