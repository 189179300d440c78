"""The addresses of the portal."""

from django.urls import path

from registry.portal.views import account, claims, imports, keys, pictures, public

app_name = "portal"

urlpatterns = [
    path("", public.home, name="home"),
    path("lookup/", public.lookup, name="lookup"),
    path("lookup/picture/", public.lookup_picture, name="lookup-picture"),
    path("how-it-works/", public.how_it_works, name="how-it-works"),
    path("privacy/", public.privacy, name="privacy"),
    path("welcome/", account.welcome, name="welcome"),
    path("account/", account.account, name="account"),
    path("claims/", claims.claims, name="claims"),
    path("claims/<uuid:public_id>/", claims.claim_detail, name="claim"),
    path("claims/<uuid:public_id>/withdraw/", claims.withdraw, name="withdraw"),
    path("claims/<uuid:public_id>/pictures/", pictures.claim_pictures, name="claim-pictures"),
    path("opt-out/", claims.register, name="register"),
    path("opt-out/pictures/", pictures.register_pictures, name="register-pictures"),
    path("pictures/<uuid:public_id>/remove/", pictures.remove_picture, name="remove-picture"),
    path("keys/", keys.keys, name="keys"),
    path("keys/new/", keys.new_key, name="new-key"),
    path("keys/<uuid:public_id>/revoke/", keys.revoke, name="revoke-key"),
    path("imports/", imports.imports, name="imports"),
    path("imports/<uuid:public_id>/", imports.import_detail, name="import"),
]
