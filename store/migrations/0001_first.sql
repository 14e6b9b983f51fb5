-- The first shape of the store. The same text runs on SQLite and PostgreSQL (BLOB is spelled BYTEA there).
-- Columns are TEXT, BIGINT and BLOB only: times are milliseconds since 1970 UTC, truth is 0 or 1, lists are JSON.

CREATE TABLE counters (
    name  TEXT PRIMARY KEY,
    value BIGINT NOT NULL
);

CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE data_networks (
    name    TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE apps (
    name    TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE ue_groups (
    name    TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE sims (
    imsi         TEXT PRIMARY KEY,
    iccid        TEXT,
    label        TEXT NOT NULL,
    state        TEXT NOT NULL,
    sealed       BLOB,
    fingerprint  BLOB,
    algorithm    TEXT NOT NULL,
    sqn_mode      TEXT NOT NULL,
    sqn_ind_bits  BIGINT NOT NULL,
    sqn_node_bits BIGINT NOT NULL,
    sqn_delta     BIGINT NOT NULL,
    sqn_max_ahead BIGINT NOT NULL,
    sqn_offset    BIGINT NOT NULL,
    sqn_ceiling   BIGINT NOT NULL,
    sqn_resyncs   BIGINT NOT NULL,
    dnns         TEXT NOT NULL,
    slices       TEXT NOT NULL,
    ambr_ul      BIGINT NOT NULL,
    ambr_dl      BIGINT NOT NULL,
    device       TEXT,
    version      BIGINT NOT NULL,
    created      BIGINT NOT NULL,
    changed      BIGINT NOT NULL
);
CREATE UNIQUE INDEX sims_iccid ON sims (iccid);
CREATE UNIQUE INDEX sims_fingerprint ON sims (fingerprint);
CREATE INDEX sims_state ON sims (state, imsi);

CREATE TABLE sim_dnns (
    imsi TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    dnn  TEXT NOT NULL REFERENCES data_networks (name),
    PRIMARY KEY (imsi, dnn)
);

CREATE TABLE sim_groups (
    imsi TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    grp  TEXT NOT NULL REFERENCES ue_groups (name),
    PRIMARY KEY (imsi, grp)
);
CREATE INDEX sim_groups_grp ON sim_groups (grp, imsi);

CREATE TABLE sim_addresses (
    imsi TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    dnn  TEXT NOT NULL REFERENCES data_networks (name),
    ip   TEXT NOT NULL,
    PRIMARY KEY (imsi, dnn)
);
CREATE UNIQUE INDEX sim_addresses_ip ON sim_addresses (dnn, ip);

CREATE TABLE sim_history (
    imsi       TEXT NOT NULL,
    seq        BIGINT NOT NULL,
    at         BIGINT NOT NULL,
    from_state TEXT NOT NULL,
    to_state   TEXT NOT NULL,
    actor      TEXT NOT NULL,
    reason     TEXT NOT NULL,
    PRIMARY KEY (imsi, seq)
);

CREATE TABLE rules (
    name    TEXT PRIMARY KEY,
    ord     BIGINT NOT NULL,
    app     TEXT NOT NULL REFERENCES apps (name),
    grp     TEXT REFERENCES ue_groups (name),
    imsi    TEXT REFERENCES sims (imsi),
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE leases (
    id      BIGINT PRIMARY KEY,
    imsi    TEXT NOT NULL,
    dnn     TEXT NOT NULL,
    ip      TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended   BIGINT
);
CREATE UNIQUE INDEX leases_ip ON leases (dnn, ip) WHERE ended IS NULL;
CREATE UNIQUE INDEX leases_sim ON leases (imsi, dnn) WHERE ended IS NULL;
CREATE INDEX leases_history ON leases (ip, started);

CREATE TABLE tokens (
    id        TEXT PRIMARY KEY,
    hash      BLOB NOT NULL,
    label     TEXT NOT NULL,
    scopes    TEXT NOT NULL,
    created   BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    expires   BIGINT,
    last_used BIGINT,
    revoked   BIGINT
);
CREATE UNIQUE INDEX tokens_hash ON tokens (hash);

CREATE TABLE audit (
    seq        BIGINT PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      TEXT NOT NULL,
    action     TEXT NOT NULL,
    object     TEXT NOT NULL,
    before     TEXT,
    after      TEXT,
    reason     TEXT NOT NULL,
    request_id TEXT NOT NULL,
    hash       BLOB NOT NULL
);
CREATE INDEX audit_object ON audit (object, seq);

CREATE TABLE outbox (
    seq     BIGINT PRIMARY KEY,
    at      BIGINT NOT NULL,
    kind    TEXT NOT NULL,
    payload TEXT NOT NULL
);

CREATE TABLE events (
    seq  BIGINT PRIMARY KEY,
    at   BIGINT NOT NULL,
    imsi TEXT,
    body TEXT NOT NULL
);
CREATE INDEX events_imsi ON events (imsi, seq);

CREATE TABLE idempotency (
    actor       TEXT NOT NULL,
    key         TEXT NOT NULL,
    fingerprint BLOB NOT NULL,
    at          BIGINT NOT NULL,
    status      BIGINT,
    body        BLOB,
    etag        TEXT,
    PRIMARY KEY (actor, key)
);
