"""Who asked for a training stands with its epochs, and may not release the model either.

Revision ID: 0020
Revises: 0019
"""

from alembic import op

revision = "0020"
down_revision = "0019"

CHANGES = """
-- Epochs from before do not say who asked for them; the ledger says who had their models judged.
ALTER TABLE training_epoch ADD COLUMN actor text NOT NULL DEFAULT '';

-- A training that was killed may be finished, and its model judged, by another person's run: whoever trained part of it
-- counts as well.
CREATE OR REPLACE FUNCTION refuse_own_release() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM gate_decision d
               WHERE d.id = NEW.decision_id AND (d.policy ->> 'approver_differs')::boolean)
        AND (EXISTS (SELECT FROM ledger l
                     WHERE l.line = NEW.line AND l.kind = 'decided' AND l.details ->> 'model' = NEW.model_id
                         AND lower(btrim(l.actor)) = lower(btrim(NEW.actor)))
             OR EXISTS (SELECT FROM training_epoch e
                        WHERE e.model_id = NEW.model_id AND lower(btrim(e.actor)) = lower(btrim(NEW.actor))))
        AND NOT EXISTS (SELECT FROM ledger l
                        WHERE l.line = NEW.line AND l.kind = 'promoted' AND l.subject = NEW.model_id
                            AND l.details ->> 'decision' = NEW.decision_id)
    THEN
        RAISE EXCEPTION 'model % may not be released by who trained it', NEW.model_id
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    RETURN NEW;
END $$;
"""


def upgrade() -> None:
    """Keep who asked for every epoch, and let the release look at it."""
    op.execute(CHANGES)
