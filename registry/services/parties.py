"""Making parties."""

import re

from django.db import IntegrityError, transaction
from django.utils.text import slugify

from registry.actor import Actor
from registry.errors import Conflict, InvalidInput
from registry.models import Membership, Party, User
from registry.models.people import HANDLE_PATTERN

__all__ = ["Actor", "create_party"]


def create_party(
    user: User | None, kind: Party.Kind | str, display_name: str, *, handle: str | None = None
) -> Party:
    """A new party owned by `user` (None: an operator makes it and adds members later).

    Without `handle` one is made from the name, with a number when it is taken.

    Raises:
        InvalidInput: an unknown kind, an empty name, a handle in the wrong form.
        Conflict: the handle asked for is taken (`handle_taken`).
    """
    display_name = " ".join(display_name.split())
    problems: dict[str, list[str]] = {}
    if kind not in Party.Kind.values:
        problems["kind"] = [f"Unknown kind; there are {', '.join(Party.Kind.values)}."]
    if not display_name or len(display_name) > 200:
        problems["display_name"] = ["Give a name of at most 200 characters."]
    if handle is not None and not re.fullmatch(HANDLE_PATTERN, handle):
        problems["handle"] = ["Use 1 to 63 lower-case letters, digits and hyphens."]
    if problems:
        raise InvalidInput(problems)
    if handle is not None:
        return _insert(user, Party.Kind(kind), display_name, handle)
    return _insert_numbered(user, Party.Kind(kind), display_name)


def _insert(user: User | None, kind: Party.Kind, display_name: str, handle: str) -> Party:
    try:
        with transaction.atomic():
            party = Party.objects.create(kind=kind, display_name=display_name, handle=handle)
            if user is not None:
                Membership.objects.create(user=user, party=party, role=Membership.Role.OWNER)
    except IntegrityError as error:
        raise Conflict(f"The handle {handle} is taken.", code="handle_taken") from error
    return party


def _insert_numbered(user: User | None, kind: Party.Kind, display_name: str) -> Party:
    stem = slugify(display_name).replace("_", "-").strip("-")[:50].strip("-") or kind.value
    taken = set(Party.objects.filter(handle__startswith=stem).values_list("handle", flat=True))
    for number in range(1, 10_000):
        handle = stem if number == 1 else f"{stem}-{number}"
        if handle in taken:
            continue
        try:
            return _insert(user, kind, display_name, handle)
        except Conflict:
            continue  # somebody took it between the look and the insert
    raise Conflict(f"No handle is left for {stem}.", code="handle_taken")
