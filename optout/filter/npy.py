"""Arrays of embeddings in NumPy's format: mapped, checked, and written again without some rows."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from optout.errors import BadInput

__all__ = ["copy_vectors", "open_vectors"]

_BLOCK = 8192


def open_vectors(path: Path, name: str, rows: int | None = None) -> npt.NDArray[np.floating[Any]]:
    """The array float16[n, D] or float32[n, D] in a file, memory-mapped.

    Args:
        path: the file.
        name: what messages call it.
        rows: how many rows it must have.

    Raises:
        BadInput: it is empty, cut short or no array of such numbers (`bad_npy`), or has another number of
            rows (`rows_differ`).
    """
    try:
        found: Any = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise BadInput(f"{name}: not a whole NumPy array: {error}", code="bad_npy") from error
    if not isinstance(found, np.ndarray) or found.ndim != 2 or found.dtype not in (np.float16, np.float32):
        what = f"{found.dtype} of shape {found.shape}" if isinstance(found, np.ndarray) else "an archive"
        raise BadInput(f"{name}: holds {what}, not rows of float16 or float32", code="bad_npy")
    if rows is not None and len(found) != rows:
        raise BadInput(
            f"{name}: has {len(found):,} rows, but the metadata have {rows:,}: they do not belong together",
            code="rows_differ",
        )
    return found


def copy_vectors(vectors: npt.NDArray[Any], keep: npt.NDArray[np.bool_], part: Path) -> None:
    """Write the rows of `vectors` that `keep` (bool[n]) says, of the same type."""
    shape = (int(np.count_nonzero(keep)), vectors.shape[1])
    header = {
        "descr": np.lib.format.dtype_to_descr(vectors.dtype),
        "fortran_order": False,
        "shape": shape,
    }
    with part.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(vectors), _BLOCK):
            rows = slice(start, start + _BLOCK)
            file.write(np.ascontiguousarray(vectors[rows][keep[rows]]).data)
