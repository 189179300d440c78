"""API keys: a visible prefix and a peppered digest, never the secret."""

from datetime import datetime

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from registry.identifiers import uuid7
from registry.models.constraints import octets
from registry.models.people import Party, User

__all__ = ["ApiKey", "ApiKeyQuerySet", "Scope"]


class Scope(models.TextChoices):
    """What a key may be used for."""

    CHECK = "check", _("check items")
    CLAIMS_READ = "claims:read", _("read claims")
    CLAIMS_WRITE = "claims:write", _("register and withdraw claims")
    IMPORTS_WRITE = "imports:write", _("send imports")
    SNAPSHOTS_READ = "snapshots:read", _("read snapshots")
    PICTURES_READ = "pictures:read", _("read perceptual hashes")


class ApiKeyQuerySet(models.QuerySet["ApiKey"]):
    """Reads of keys."""

    def for_party(self, party: Party) -> "ApiKeyQuerySet":
        return self.filter(party=party)

    def newest_first(self) -> "ApiKeyQuerySet":
        """A total order, so that pages never overlap."""
        return self.order_by("-public_id")


class ApiKey(models.Model):
    """One key of a party; the secret is shown once, when it is made."""

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    party = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="keys")
    name = models.CharField(max_length=100)
    prefix = models.CharField(max_length=8, unique=True)
    digest = models.BinaryField(max_length=32)
    scopes = ArrayField(models.CharField(max_length=32, choices=Scope))
    created_by = models.ForeignKey(
        User, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)

    objects = ApiKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        constraints = [
            models.CheckConstraint(condition=Q(prefix__regex=r"^[a-z0-9]{8}$"), name="apikey_prefix_format"),
            models.CheckConstraint(condition=octets("digest", 32), name="apikey_digest_length"),
            models.CheckConstraint(condition=~Q(name=""), name="apikey_name_not_empty"),
            models.CheckConstraint(
                condition=Q(scopes__contained_by=list(Scope.values), scopes__len__gt=0),
                name="apikey_scopes_known",
            ),
        ]

    def __str__(self) -> str:
        return f"opt_{self.prefix}_…"

    def is_usable(self, now: datetime | None = None) -> bool:
        """Whether the key is neither revoked nor expired."""
        now = now or timezone.now()
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)
