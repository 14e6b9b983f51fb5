-- Bans and what else takes rights away: who asked for what, what came of each SIM (a signed receipt that goes on
-- being written), what is restricted now, and unbans that wait for a second person.

CREATE TABLE revocations (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    kind       TEXT NOT NULL,
    scope      TEXT NOT NULL,
    value      TEXT NOT NULL,
    state      TEXT,
    actor      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    ticket     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    origin     TEXT NOT NULL,
    sims       BIGINT NOT NULL,
    detail     TEXT NOT NULL
);
CREATE INDEX revocations_value ON revocations (scope, value, id);

CREATE TABLE receipts (
    revocation TEXT NOT NULL REFERENCES revocations (id),
    imsi       TEXT NOT NULL,
    version    BIGINT NOT NULL,
    body       TEXT NOT NULL,
    signature  TEXT NOT NULL,
    pending    TEXT NOT NULL,
    closed     BIGINT,
    PRIMARY KEY (revocation, imsi)
);
CREATE INDEX receipts_imsi ON receipts (imsi, revocation);
CREATE INDEX receipts_open ON receipts (imsi) WHERE closed IS NULL;

CREATE TABLE restrictions (
    kind       TEXT NOT NULL,
    value      TEXT NOT NULL,
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    revocation TEXT NOT NULL,
    PRIMARY KEY (kind, value)
);

CREATE TABLE unban_requests (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    expires    BIGINT NOT NULL,
    imsi       TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    asked_by   TEXT NOT NULL,
    reason     TEXT NOT NULL,
    ticket     TEXT NOT NULL,
    state      TEXT NOT NULL,
    decided_by TEXT,
    decided    BIGINT,
    words      TEXT
);
CREATE INDEX unban_requests_open ON unban_requests (imsi) WHERE state = 'open';
