"""`/keys/me`: who a key belongs to and what it may do."""

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from api import openapi
from api.base import ApiView
from api.serializers import KeyShown

__all__ = ["OwnKey"]


class OwnKey(ApiView):
    """Takes any valid key, whatever its scopes."""

    scopes = {"GET": None}

    @extend_schema(
        operation_id="keys_me",
        summary="Read one's own key",
        responses=openapi.answers(KeyShown),
        tags=["keys"],
    )
    def get(self, request: Request) -> Response:
        party, key = self.actor.party, self.actor.key
        assert key is not None  # noqa: S101 - requests to the API are authenticated by a key
        return Response(
            {
                "party": party.handle,
                "display_name": party.display_name,
                "kind": party.kind,
                "name": key.name,
                "prefix": key.prefix,
                "scopes": list(key.scopes),
                "expires_at": key.expires_at,
            }
        )
