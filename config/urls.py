"""Which address is answered by whom."""

from importlib.util import find_spec

from allauth.account.decorators import secure_admin_login
from django.conf import settings
from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

from config import health, mailbox, metrics

# Operators sign in with an e-mail code like everybody else.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "Optout Registry"

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("accounts/", include("allauth.urls")),
    path("healthz", health.show_alive, name="alive"),
    path("readyz", health.show_ready, name="ready"),
    path("metrics", metrics.export, name="metrics"),
]
if settings.EMBEDDED:
    urlpatterns.append(path("mail/", include(mailbox.urlpatterns)))
if find_spec("api.urls"):
    urlpatterns.append(path("api/", include("api.urls")))
if find_spec("registry.portal") and find_spec("registry.portal.urls"):
    urlpatterns.append(path("", include("registry.portal.urls")))
