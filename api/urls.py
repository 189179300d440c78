"""Addresses under /api/."""

from django.urls import include, path, re_path

from api.base import Nothing
from api.check import Check
from api.claims import ClaimDetail, ClaimList, ClaimWithdrawal
from api.docs import DocsPage, SchemaDocument
from api.imports import ImportDetail, ImportList, ImportRejections
from api.keys import OwnKey
from api.snapshots import LatestSnapshot, SnapshotFile, TrustedKeys
from api.spawning import QueryUrls
from api.uploads import ClaimPictures, UploadDetail, UploadPages

app_name = "api"

version_1 = [
    path("check", Check.as_view(), name="check"),
    path("claims", ClaimList.as_view(), name="claims"),
    path("claims/<uuid:claim_id>", ClaimDetail.as_view(), name="claim"),
    path("claims/<uuid:claim_id>/withdraw", ClaimWithdrawal.as_view(), name="claim-withdraw"),
    path("claims/<uuid:claim_id>/pictures", ClaimPictures.as_view(), name="claim-pictures"),
    path("uploads", UploadPages.as_view(), name="uploads"),
    path("uploads/<uuid:upload_id>", UploadDetail.as_view(), name="upload"),
    path("imports", ImportList.as_view(), name="imports"),
    path("imports/<uuid:import_id>", ImportDetail.as_view(), name="import"),
    path("imports/<uuid:import_id>/rejections", ImportRejections.as_view(), name="import-rejections"),
    path("snapshots/keys", TrustedKeys.as_view(), name="snapshot-keys"),
    path("snapshots/latest", LatestSnapshot.as_view(), name="snapshot"),
    path("snapshots/<str:digest>/files/<path:path>", SnapshotFile.as_view(), name="snapshot-file"),
    path("keys/me", OwnKey.as_view(), name="own-key"),
    path("openapi.json", SchemaDocument.as_view(), name="schema"),
]
urlpatterns = [
    path("v1/", include(version_1)),
    # Both forms are served: a redirect would turn the client's POST into a GET.
    path("v2/query/urls/", QueryUrls.as_view(), name="spawning"),
    path("v2/query/urls", QueryUrls.as_view(schema=None)),
    path("docs/", DocsPage.as_view(), name="docs"),
    re_path(r"", Nothing.as_view()),
]
