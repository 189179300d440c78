"""Requests that no view sees, because they cannot be read: the page that says why."""

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.defaults import bad_request

from config.uploads import most_bytes
from registry.portal.picture_forms import in_megabytes

__all__ = ["show_refusal"]


def show_refusal(request: HttpRequest, exception: Exception) -> HttpResponse:
    """413 for a form that sends too much, with how much it may be; 400 for everything else."""
    if not isinstance(exception, RequestDataTooBig):
        return bad_request(request, exception)
    return render(request, "413.html", {"most": in_megabytes(most_bytes(request.path))}, status=413)
