"""The SQL of one chunk. `%(party)s` and `%(import)s` are primary keys."""

__all__ = [
    "ADD_SELECTORS",
    "AMEND",
    "CREATE_BY_CONTENT",
    "CREATE_BY_REF",
    "FIND_BY_CONTENT",
    "FIND_BY_REF",
    "MARK_EXISTING",
    "OUTCOMES",
    "REFUSE",
    "REFUSED_ROWS",
    "TABLES",
]

TABLES = """
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_claim (
    n integer NOT NULL,
    id bigint NOT NULL DEFAULT nextval('registry_claim_id_seq'),
    public_id uuid NOT NULL,
    owner text NOT NULL,
    ref text NOT NULL,
    content_key uuid,
    decision smallint NOT NULL,
    uses smallint NOT NULL,
    grade smallint NOT NULL,
    valid_from timestamptz,
    terms_url text NOT NULL,
    title text NOT NULL,
    leads boolean NOT NULL,
    fresh boolean NOT NULL DEFAULT true,
    status text NOT NULL DEFAULT 'active',
    amended boolean NOT NULL DEFAULT false,
    refused text NOT NULL DEFAULT ''
) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE IF NOT EXISTS incoming_selector (
    row bigint NOT NULL,
    n integer NOT NULL,
    kind smallint NOT NULL,
    digest uuid NOT NULL,
    value text NOT NULL
) ON COMMIT DELETE ROWS;
"""

# One statement for each way of being the same claim: a conflict is looked for in that index only.
_CREATE = """
INSERT INTO registry_claim (id, public_id, party_id, source_import_id, owner, ref, content_key, decision,
                            uses, grade, status, valid_from, terms_url, title, created_at)
SELECT id, public_id, %(party)s, %(import)s, owner, ref, content_key, decision, uses,
       grade, 'active', valid_from, terms_url, title, now()
FROM incoming_claim WHERE {which} ORDER BY n
ON CONFLICT {where} DO NOTHING
"""
CREATE_BY_REF = _CREATE.format(which="ref <> ''", where="(party_id, owner, ref) WHERE ref <> ''")
CREATE_BY_CONTENT = _CREATE.format(
    which="ref = ''", where="(party_id, content_key) WHERE content_key IS NOT NULL"
)

MARK_EXISTING = """
UPDATE incoming_claim SET fresh = false
WHERE NOT EXISTS (SELECT FROM registry_claim WHERE registry_claim.id = incoming_claim.id)
"""

# What a row that does not lead says about title and terms is left alone (leading.py).
# Grades that an operator or a signature gave are left alone; others only sink, when less is proven.
_FOUND = """
UPDATE incoming_claim AS incoming SET
    id = held.id,
    public_id = held.public_id,
    status = held.status,
    grade = CASE WHEN held.grade <= 2 THEN least(held.grade, incoming.grade) ELSE held.grade END,
    terms_url = CASE
        WHEN incoming.leads OR held.terms_url = '' THEN incoming.terms_url ELSE held.terms_url
    END,
    title = CASE WHEN incoming.leads THEN incoming.title ELSE held.title END,
    amended = (held.decision, held.uses, held.valid_from)
        IS DISTINCT FROM (incoming.decision, incoming.uses, incoming.valid_from)
        OR (incoming.leads AND (held.terms_url, held.title) <> (incoming.terms_url, incoming.title))
        OR (held.grade <= 2 AND incoming.grade < held.grade)
FROM registry_claim AS held
WHERE NOT incoming.fresh AND held.party_id = %(party)s AND
"""
FIND_BY_REF = _FOUND + " held.ref <> '' AND held.ref = incoming.ref AND held.owner = incoming.owner"
FIND_BY_CONTENT = _FOUND + " held.content_key = incoming.content_key"

REFUSE = """
UPDATE incoming_claim SET refused = status
WHERE NOT fresh AND (status = 'withdrawn' OR (status = 'held' AND amended))
"""

REFUSED_ROWS = """
SELECT incoming_selector.row, incoming_claim.refused, left(incoming_selector.value, 200)
FROM incoming_selector JOIN incoming_claim USING (n)
WHERE incoming_claim.refused <> '' ORDER BY 1
"""

AMEND = """
UPDATE registry_claim AS held SET
    decision = incoming.decision,
    uses = incoming.uses,
    grade = incoming.grade,
    valid_from = incoming.valid_from,
    terms_url = incoming.terms_url,
    title = incoming.title
FROM incoming_claim AS incoming
WHERE incoming.amended AND incoming.refused = '' AND held.id = incoming.id AND held.status = 'active'
"""

# In the table's order, so that pages of the primary key fill up one after the other.
ADD_SELECTORS = """
INSERT INTO registry_selector (claim_id, kind, digest, value)
SELECT incoming_claim.id, incoming_selector.kind, incoming_selector.digest, incoming_selector.value
FROM incoming_selector JOIN incoming_claim USING (n)
WHERE incoming_claim.refused = ''
ORDER BY 1, 2, 3
ON CONFLICT DO NOTHING
RETURNING claim_id, kind, uuid_send(digest)
"""

OUTCOMES = """
SELECT n, id, public_id::text, fresh, amended, refused, grade, terms_url FROM incoming_claim ORDER BY n
"""
