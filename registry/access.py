"""The only way to fetch a thing for a party: one function for each resource.

Another's thing and one that does not exist give the same answer.
"""

from uuid import UUID

from registry.actor import Actor
from registry.errors import NotFound
from registry.models import ApiKey, Claim, DomainProof, Import, SnapshotRecord, Upload

__all__ = [
    "access_claim",
    "access_domain_proof",
    "access_import",
    "access_key",
    "access_snapshot",
    "access_upload",
]


def access_claim(actor: Actor, public_id: UUID, *, scope: str = "claims:read") -> Claim:
    """A claim of the actor's party, without its selectors; raises NotFound, Forbidden (`missing_scope`).

    Whoever fetches it to change it asks for the scope `claims:write` instead.
    """
    actor.require(scope)
    claims = Claim.objects.for_party(actor.party).select_related("party")
    claim = claims.filter(public_id=public_id).first()
    if claim is None:
        raise NotFound("There is no such claim.")
    return claim


def access_import(actor: Actor, public_id: UUID) -> Import:
    """An import of the actor's party; raises NotFound, Forbidden (`missing_scope`)."""
    actor.require("imports:write")
    found = Import.objects.for_party(actor.party).filter(public_id=public_id).first()
    if found is None:
        raise NotFound("There is no such import.")
    return found


def access_upload(actor: Actor, public_id: UUID, *, scope: str = "claims:read") -> Upload:
    """A picture of the actor's party, with its claim; raises NotFound, Forbidden (`missing_scope`)."""
    actor.require(scope)
    mine = Upload.objects.for_party(actor.party).select_related("claim")
    found = mine.filter(public_id=public_id).first()
    if found is None:
        raise NotFound("There is no such picture.")
    return found


def access_key(actor: Actor, public_id: UUID) -> ApiKey:
    """A key of the actor's party; raises NotFound."""
    key = ApiKey.objects.for_party(actor.party).filter(public_id=public_id).first()
    if key is None:
        raise NotFound("There is no such key.")
    return key


def access_domain_proof(actor: Actor, public_id: UUID) -> DomainProof:
    """A domain proof of the actor's party; raises NotFound."""
    proof = DomainProof.objects.for_party(actor.party).filter(public_id=public_id).first()
    if proof is None:
        raise NotFound("There is no such domain proof.")
    return proof


def access_snapshot(actor: Actor, digest: str) -> SnapshotRecord:
    """A published snapshot by its digest (hex); raises NotFound, Forbidden (`missing_scope`)."""
    actor.require("snapshots:read")
    record = SnapshotRecord.objects.published().newest_first().filter(digest=digest).first()
    if record is None:
        raise NotFound("There is no such snapshot.")
    return record
