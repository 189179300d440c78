"""Addresses under /api/."""

from django.urls import include, path, re_path

from api.base import Nothing
from api.claims import ClaimDetail, ClaimList, ClaimWithdrawal
from api.docs import DocsPage, SchemaDocument
from api.imports import ImportDetail, ImportList, ImportRejections
from api.keys import OwnKey

app_name = "api"

version_1 = [
    path("claims", ClaimList.as_view(), name="claims"),
    path("claims/<uuid:claim_id>", ClaimDetail.as_view(), name="claim"),
    path("claims/<uuid:claim_id>/withdraw", ClaimWithdrawal.as_view(), name="claim-withdraw"),
    path("imports", ImportList.as_view(), name="imports"),
    path("imports/<uuid:import_id>", ImportDetail.as_view(), name="import"),
    path("imports/<uuid:import_id>/rejections", ImportRejections.as_view(), name="import-rejections"),
    path("keys/me", OwnKey.as_view(), name="own-key"),
    path("openapi.json", SchemaDocument.as_view(), name="schema"),
]
urlpatterns = [
    path("v1/", include(version_1)),
    path("docs/", DocsPage.as_view(), name="docs"),
    re_path(r"", Nothing.as_view()),
]
