"""Who asks for something: the party, and the user or key that speaks for it."""

from dataclasses import dataclass

from registry.errors import Forbidden
from registry.models import ApiKey, Party, User

__all__ = ["Actor"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A party that acts, through a signed-in user or through an API key.

    Attributes:
        party: for whom.
        user: the signed-in user, None behind a key.
        key: the API key, None in the portal.
        request_id: ties events and log lines to one request.
        application: `portal`, `api`, `admin`, `import`, …
    """

    party: Party
    user: User | None = None
    key: ApiKey | None = None
    request_id: str = ""
    application: str = ""

    def may(self, scope: str) -> bool:
        """Whether the actor has `scope`; a signed-in user has every scope of her party."""
        return scope in self.key.scopes if self.key is not None else self.user is not None

    def require(self, scope: str) -> None:
        """Refuse an actor without `scope`.

        Raises:
            Forbidden: code `missing_scope`.
        """
        if not self.may(scope):
            raise Forbidden(
                f"This needs the scope {scope}, which the key does not have.", code="missing_scope"
            )
