"""The operators' pages: look at everything, change things only through services."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin

from registry.admin import claims, imports, models, people, snapshots, uploads

__all__ = ["claims", "imports", "models", "people", "snapshots", "uploads"]

# Operators sign in as everybody does, with all that protects signing in.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.site_header = "Optout Registry"
admin.site.site_title = "Optout Registry"
admin.site.index_title = "Operations"
