"""What no CHECK constraint can say: events are append-only, claims are never deleted, selectors belong to a claim."""

from django.db import migrations

FORWARD = """
CREATE FUNCTION registry_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of % is refused: %', TG_OP, TG_TABLE_NAME, TG_ARGV[0] USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER claimevent_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON registry_claimevent
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse('events are append-only');

CREATE TRIGGER claim_never_deleted BEFORE DELETE OR TRUNCATE ON registry_claim
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse('claims are withdrawn, never deleted');

CREATE TRIGGER selector_never_changed BEFORE UPDATE OR TRUNCATE ON registry_selector
    FOR EACH STATEMENT EXECUTE FUNCTION registry_refuse('a selector is added or removed, never changed');

-- One anti-join a statement instead of a foreign key's check a row. Sound, because claims are never deleted.
CREATE FUNCTION registry_claims_exist() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    missing bigint;
BEGIN
    SELECT distinct_ids.claim_id INTO missing
        FROM (SELECT DISTINCT claim_id FROM added) AS distinct_ids
        WHERE NOT EXISTS (SELECT FROM registry_claim WHERE registry_claim.id = distinct_ids.claim_id)
        LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION '% of claim %, which does not exist', TG_TABLE_NAME, missing
            USING ERRCODE = 'foreign_key_violation', CONSTRAINT = TG_NAME, TABLE = TG_TABLE_NAME;
    END IF;
    RETURN NULL;
END $$;

CREATE TRIGGER selector_claim_exists AFTER INSERT ON registry_selector
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION registry_claims_exist();

CREATE TRIGGER claimevent_claim_exists AFTER INSERT ON registry_claimevent
    REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION registry_claims_exist();
"""

BACKWARD = """
DROP TRIGGER claimevent_claim_exists ON registry_claimevent;
DROP TRIGGER selector_claim_exists ON registry_selector;
DROP FUNCTION registry_claims_exist();
DROP TRIGGER selector_never_changed ON registry_selector;
DROP TRIGGER claim_never_deleted ON registry_claim;
DROP TRIGGER claimevent_append_only ON registry_claimevent;
DROP FUNCTION registry_refuse();
"""


class Migration(migrations.Migration):
    dependencies = [("registry", "0001_initial")]

    operations = [migrations.RunSQL(FORWARD, BACKWARD)]
