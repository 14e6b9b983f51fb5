-- Audit that can be proved outside, alerts, and where they were delivered to.

-- From where a change came; when the row was written by this machine's clock; by how much that clock stood behind
-- the row before. `form` says what the hash covers: 1 knows none of the three.
ALTER TABLE audit ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE audit ADD COLUMN form BIGINT NOT NULL DEFAULT 1;
ALTER TABLE audit ADD COLUMN written BIGINT NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN clock_back BIGINT;
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_request ON audit (request_id, seq);

CREATE TABLE audit_checkpoints (
    seq        BIGINT PRIMARY KEY,
    hash       BLOB NOT NULL,
    at         BIGINT NOT NULL,
    public_key TEXT NOT NULL,
    signature  TEXT NOT NULL
);

-- Rows that a ban owes to the audit, where the audit could not be written with it.
CREATE TABLE audit_owed (
    id   BIGINT PRIMARY KEY,
    body TEXT NOT NULL
);

CREATE TABLE alerts (
    id       BIGINT PRIMARY KEY,
    at       BIGINT NOT NULL,
    last     BIGINT NOT NULL,
    times    BIGINT NOT NULL,
    kind     TEXT NOT NULL,
    severity TEXT NOT NULL,
    imsi     TEXT,
    subject  TEXT NOT NULL,
    what     TEXT NOT NULL,
    state    TEXT NOT NULL,
    actor    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    changed  BIGINT NOT NULL
);
-- One alert at a time about one thing: its repeats are counted.
CREATE UNIQUE INDEX alerts_live ON alerts (kind, subject) WHERE state <> 'closed';
CREATE INDEX alerts_state ON alerts (state, id);
CREATE INDEX alerts_imsi ON alerts (imsi, id);

-- How far each destination has what leaves by the outbox.
CREATE TABLE deliveries (
    name  TEXT PRIMARY KEY,
    seq   BIGINT NOT NULL,
    items BIGINT NOT NULL,
    lost  BIGINT NOT NULL,
    at    BIGINT NOT NULL
);
