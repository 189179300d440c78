"""Which address is answered by whom."""

from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from config import health, mailbox, metrics

handler400 = "config.refusals.show_refusal"
handler500 = "config.refusals.show_failure"
urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("healthz", health.show_alive, name="alive"),
    path("readyz", health.show_ready, name="ready"),
    path("metrics", metrics.export, name="metrics"),
    path("api/", include("api.urls")),
    path("", include("registry.portal.urls")),
]
if settings.EMBEDDED:
    urlpatterns.insert(0, path("mail/", include(mailbox.urlpatterns)))
