"""What a service refuses, and why; the API and the portal turn these into answers."""

from collections.abc import Mapping, Sequence

__all__ = [
    "Conflict",
    "Forbidden",
    "InvalidInput",
    "NotFound",
    "RegistryError",
    "Unauthenticated",
    "Unavailable",
]

FieldErrors = Mapping[str, Sequence[str]]


class RegistryError(Exception):
    """Base of the service errors.

    Attributes:
        code: short stable identifier, for example `domain_verified_by_other`.
        status: the HTTP status that fits.
        detail: one sentence for a person.
        fields: field name to what is wrong with it; names of list items look like `selectors.3`.
        retry_after: seconds after which trying again makes sense, or None.
    """

    code = "error"
    status = 500
    retry_after: int | None = None

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        fields: FieldErrors | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields: dict[str, list[str]] = {name: list(errors) for name, errors in (fields or {}).items()}
        if code is not None:
            self.code = code
        if retry_after is not None:
            self.retry_after = retry_after


class InvalidInput(RegistryError):
    """The caller's values cannot stand; `fields` says which."""

    code = "invalid_input"
    status = 422

    def __init__(
        self, fields: FieldErrors, detail: str = "Some values cannot be accepted.", *, code: str | None = None
    ) -> None:
        super().__init__(detail, code=code, fields=fields)


class Unauthenticated(RegistryError):
    """No key, or one that is unknown, expired or revoked."""

    code = "unauthenticated"
    status = 401


class Forbidden(RegistryError):
    """The actor is known but may not do this."""

    code = "forbidden"
    status = 403


class NotFound(RegistryError):
    """There is no such thing for this actor; another's thing gives the same answer."""

    code = "not_found"
    status = 404


class Conflict(RegistryError):
    """What is asked contradicts what is recorded."""

    code = "conflict"
    status = 409


class Unavailable(RegistryError):
    """A part that is needed is away; nothing was done."""

    code = "unavailable"
    status = 503
    retry_after = 5
