"""What every view under /api/ shares: the request id in and out, and who speaks."""

from collections.abc import Mapping
from typing import Any, ClassVar, cast

from rest_framework.request import Request
from rest_framework.views import APIView

from api.problems import Problem
from api.request_ids import REQUEST_ID, request_id_of
from registry.actor import Actor

__all__ = ["ApiView", "Nothing"]


class ApiView(APIView):
    """A view whose methods say which scope they want (see `api.auth.HasScope`)."""

    scopes: ClassVar[Mapping[str, str | None]] = {}
    anonymous: ClassVar[bool] = False

    @property
    def actor(self) -> Actor:
        """The party and key behind an authenticated request."""
        return cast("Actor", self.request.auth)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        done = super().finalize_response(request, response, *args, **kwargs)
        done[REQUEST_ID] = request_id_of(request)
        return done


class Nothing(ApiView):
    """Answers for every address under /api/ that nothing serves."""

    schema = None
    authentication_classes = []

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        raise Problem(404, "not_found", f"Nothing answers at {request.path[:200]}.")
