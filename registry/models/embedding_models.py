"""The models that embedded pictures here, with what was measured of each."""

from django.db import models
from django.utils.translation import gettext_lazy as _

__all__ = ["ClipModel"]


class ClipModel(models.Model):
    """One model by its id; `record` is what snapshots say of it, its thresholds above all."""

    identifier = models.CharField(max_length=100, unique=True)
    record = models.JSONField()
    changed_at = models.DateTimeField(auto_now=True)

    class Meta:
        verbose_name = _("embedding model")
        verbose_name_plural = _("embedding models")

    def __str__(self) -> str:
        return self.identifier
