"""Pages that no view shows: for requests that cannot be read, and for what broke while they were answered."""

import sys

from django.core.exceptions import RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.defaults import bad_request, server_error

from config.uploads import most_bytes
from registry.portal.picture_forms import in_megabytes

__all__ = ["show_failure", "show_refusal"]

_RETRY_AFTER = 30  # seconds in which PostgreSQL is back after a restart


def show_refusal(request: HttpRequest, exception: Exception) -> HttpResponse:
    """413 for a form that sends too much, with how much it may be; 400 for everything else."""
    if not isinstance(exception, RequestDataTooBig):
        return bad_request(request, exception)
    return render(request, "413.html", {"most": in_megabytes(most_bytes(request.path))}, status=413)


def show_failure(request: HttpRequest) -> HttpResponse:
    """503 while PostgreSQL is away, with when to come back; 500 for everything else."""
    if not isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return server_error(request)
    # Without the request: who is signed in is not known either.
    content = render_to_string("503.html")
    return HttpResponse(content, status=503, headers={"Retry-After": str(_RETRY_AFTER)})
