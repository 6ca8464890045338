"""Two persons where the line wants them, and lots found by name.

Revision ID: 0017
Revises: 0016
"""

from alembic import op

revision = "0017"
down_revision = "0016"

CHANGES = """
-- Who asked for the training may not release its model, whatever program writes the row. A rollback to a model that
-- another person released is no new release.
CREATE FUNCTION refuse_own_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gate_decision d
               WHERE d.id = NEW.decision_id AND (d.policy ->> 'approver_differs')::boolean)
        AND EXISTS (SELECT FROM ledger l
                    WHERE l.line = NEW.line AND l.kind = 'decided' AND l.details ->> 'model' = NEW.model_id
                        AND lower(btrim(l.actor)) = lower(btrim(NEW.actor)))
        AND NOT EXISTS (SELECT FROM ledger l
                        WHERE l.line = NEW.line AND l.kind = 'promoted' AND l.subject = NEW.model_id
                            AND l.details ->> 'decision' = NEW.decision_id)
    THEN
        RAISE EXCEPTION 'model % may not be released by who trained it', NEW.model_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER two_persons BEFORE INSERT OR UPDATE ON champion
    FOR EACH ROW EXECUTE FUNCTION refuse_own_release();

CREATE INDEX ON inspected_image (lot) WHERE lot <> '';
CREATE INDEX ON ledger (line, kind, seq);
"""


def upgrade() -> None:
    """Guard the release, and find lots and stories quickly."""
    op.execute(CHANGES)
