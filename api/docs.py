"""The schema and the page that shows it; every asset comes from this server, so it works offline."""

from django.views.generic import TemplateView
from drf_spectacular.views import SpectacularJSONAPIView

__all__ = ["DocsPage", "SchemaDocument"]


class SchemaDocument(SpectacularJSONAPIView):
    """The OpenAPI 3.1 document, for everybody."""

    throttle_classes = []


class DocsPage(TemplateView):
    """Swagger UI; its script is a file of ours, because the content security policy allows no inline ones."""

    template_name = "api/docs.html"
