"""The tables of the registry."""

from registry.models.claims import Claim, ClaimQuerySet, Selector, selector_digest
from registry.models.domains import DomainProof
from registry.models.embedding_models import ClipModel
from registry.models.events import ClaimEvent
from registry.models.idempotency import IdempotencyRecord
from registry.models.imports import Import, ImportRejection
from registry.models.keys import ApiKey, Scope
from registry.models.people import Membership, Party, User
from registry.models.snapshots import SnapshotRecord
from registry.models.uploads import Upload

__all__ = [
    "ApiKey",
    "Claim",
    "ClaimEvent",
    "ClaimQuerySet",
    "ClipModel",
    "DomainProof",
    "IdempotencyRecord",
    "Import",
    "ImportRejection",
    "Membership",
    "Party",
    "Scope",
    "Selector",
    "SnapshotRecord",
    "Upload",
    "User",
    "selector_digest",
]
