"""Prometheus metrics, for this machine or for whoever holds the token."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseForbidden
from django.utils.crypto import constant_time_compare
from django_prometheus.exports import ExportToDjangoView

from config.loopback import is_loopback

__all__ = ["export"]


def export(request: HttpRequest) -> HttpResponse:
    """Metrics of all processes in Prometheus' text form; 403 without the right."""
    if not _may_read(request):
        return HttpResponseForbidden("Metrics are read from this machine, or with the token.", "text/plain")
    response: HttpResponse = ExportToDjangoView(request)
    return response


def _may_read(request: HttpRequest) -> bool:
    token: str = settings.OPTOUT_METRICS_TOKEN
    if token:
        return constant_time_compare(request.headers.get("Authorization", ""), f"Bearer {token}")
    return is_loopback(request)
