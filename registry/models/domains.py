"""Which party has proven that a domain is hers."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from registry.identifiers import uuid7
from registry.models.people import Party, User

__all__ = ["DomainProof", "DomainProofQuerySet"]


class DomainProofQuerySet(models.QuerySet["DomainProof"]):
    """Reads of domain proofs."""

    def verified(self) -> "DomainProofQuerySet":
        return self.filter(verified_at__isnull=False)

    def for_party(self, party: Party) -> "DomainProofQuerySet":
        return self.filter(party=party)


class DomainProof(models.Model):
    """A party's claim to a domain; it counts once `verified_at` is set."""

    public_id = models.UUIDField(unique=True, default=uuid7, editable=False)
    party = models.ForeignKey(Party, on_delete=models.CASCADE, related_name="domain_proofs")
    domain = models.CharField(max_length=253)
    created_at = models.DateTimeField(auto_now_add=True)
    verified_at = models.DateTimeField(null=True, blank=True)
    verified_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )

    objects = DomainProofQuerySet.as_manager()

    class Meta:
        verbose_name = _("domain proof")
        verbose_name_plural = _("domain proofs")
        constraints = [
            models.CheckConstraint(
                condition=Q(domain__regex=r"^[a-z0-9_-]+(\.[a-z0-9_-]+)+$"), name="domainproof_domain_format"
            ),
            models.UniqueConstraint(fields=["party", "domain"], name="domainproof_party_domain_unique"),
            models.UniqueConstraint(
                fields=["domain"], condition=Q(verified_at__isnull=False), name="domainproof_verified_once"
            ),
        ]

    def __str__(self) -> str:
        return self.domain
