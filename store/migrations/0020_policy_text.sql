-- What a policy file says beside apps, groups and rules (one row), and which generation was made by whom.
CREATE TABLE policy_extras (
    name    TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

-- Audit rows behind `audit_before` are those of this generation and of later ones: taken back, they give what was before.
CREATE TABLE policy_history (
    generation   BIGINT PRIMARY KEY,
    at           BIGINT NOT NULL,
    actor        TEXT NOT NULL,
    action       TEXT NOT NULL,
    object       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    audit_before BIGINT NOT NULL
);

-- What was before this step of the tables is not numbered.
INSERT INTO policy_history (generation, at, actor, action, object, reason, audit_before)
    SELECT p.value, 0, 'system', 'begin', '', '', a.value FROM counters p JOIN counters a ON a.name = 'audit'
    WHERE p.name = 'policy' AND p.value > 0;
