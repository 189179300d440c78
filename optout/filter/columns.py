"""Finding the URL, caption, digest and id columns of LAION, DataComp, COYO and img2dataset files."""

from typing import NamedTuple

import pyarrow as pa

from optout.errors import BadInput
from optout.filter.settings import ColumnNames

__all__ = ["KNOWN", "Found", "find_columns"]

#: What each role is called in the data sets of the field, best first.
KNOWN = {
    "url": ("URL", "url"),
    "text": ("TEXT", "caption", "text", "CAPTION"),
    "sha256": ("sha256", "SHA256"),
    "md5": ("md5", "MD5"),
    "id": ("uid", "id", "SAMPLE_ID", "key"),
    "phash": ("image_phash", "phash"),
    "pdq": ("image_pdq", "pdq", "pdq_hash"),
    "image": ("image", "img", "picture", "jpg", "jpeg", "png", "webp"),
}
_JUDGED_BY = ("url", "sha256", "md5", "phash", "pdq", "image")
#: Roles whose names have other meanings too.
_BY_LOOK = ("phash", "pdq", "image")


class Found(NamedTuple):
    """Names of the columns a file really has for each role; None where there is none."""

    url: str | None
    text: str | None
    sha256: str | None
    md5: str | None
    id: str | None
    phash: str | None
    pdq: str | None
    image: str | None


def find_columns(schema: pa.Schema, wanted: ColumnNames, shard: str, *, required: bool = True) -> Found:
    """Which columns of `schema` hold what.

    Raises:
        BadInput: a column was named that is not there (`missing_column`), none of those that rows are judged
            by is there and one is `required`, or one of them does not hold what it should (`column_type`).
    """
    found = Found(*(_find(schema, role, getattr(wanted, role), shard) for role in Found._fields))
    if required and not any(getattr(found, role) for role in _JUDGED_BY):
        raise BadInput(
            f"{shard}: no column with URLs, digests, hashes or pictures was found; name one with "
            "--url-column, --sha256-column, --md5-column, --phash-column, --pdq-column or --image-column. "
            f"{_there_are(schema)}",
            code="missing_column",
        )
    for role in Found._fields:
        name = getattr(found, role)
        if role != "id" and name is not None and not _fits(role, schema.field(name).type):
            what = "pictures" if role == "image" else f"text for {role}"
            raise BadInput(
                f"{shard}: column {name!r} should hold {what}, but its type is {schema.field(name).type}",
                code="column_type",
            )
    return found


def _find(schema: pa.Schema, role: str, wanted: str | None, shard: str) -> str | None:
    if wanted is None:
        # A name that occurs twice cannot be told apart, so it counts as not there.
        once = (name for name in KNOWN[role] if len(schema.get_all_field_indices(name)) == 1)
        # Many things are called image: what holds none is not meant.
        return next((n for n in once if role not in _BY_LOOK or _fits(role, schema.field(n).type)), None)
    if len(schema.get_all_field_indices(wanted)) != 1:
        raise BadInput(
            f"{shard}: no column {wanted!r} for {role}. {_there_are(schema)}", code="missing_column"
        )
    return wanted


def _there_are(schema: pa.Schema) -> str:
    return f"The columns are: {', '.join(schema.names) or 'none'}"


def _fits(role: str, kind: pa.DataType) -> bool:
    if role != "image":
        return _is_textual(kind)
    if pa.types.is_struct(kind):
        place = kind.get_field_index("bytes")
        return place >= 0 and _is_bytes(kind.field(place).type)
    return _is_bytes(kind)


def _is_bytes(kind: pa.DataType) -> bool:
    return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view))


def _is_textual(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_textual(kind.value_type)
    tests = (
        pa.types.is_string,
        pa.types.is_large_string,
        pa.types.is_string_view,
        pa.types.is_binary,
        pa.types.is_large_binary,
        pa.types.is_binary_view,
        pa.types.is_fixed_size_binary,
        pa.types.is_null,
    )
    return any(test(kind) for test in tests)
