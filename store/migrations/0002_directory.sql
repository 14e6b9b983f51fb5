-- Whose a SIM is: people, devices, sites. Who may do what: operators, and tokens with limits.

CREATE TABLE people (
    id       TEXT PRIMARY KEY,
    body     TEXT NOT NULL,
    search   TEXT NOT NULL,
    employee TEXT,
    external TEXT,
    ends_at  BIGINT,
    version  BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    changed  BIGINT NOT NULL
);
CREATE UNIQUE INDEX people_employee ON people (employee);
CREATE UNIQUE INDEX people_external ON people (external);
CREATE INDEX people_ends ON people (ends_at);

CREATE TABLE devices (
    id      TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    search  TEXT NOT NULL,
    imei    TEXT,
    owner   TEXT REFERENCES people (id),
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
CREATE UNIQUE INDEX devices_imei ON devices (imei);
CREATE INDEX devices_owner ON devices (owner);

CREATE TABLE sites (
    id      TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    search  TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE sim_links (
    imsi   TEXT PRIMARY KEY REFERENCES sims (imsi) ON DELETE CASCADE,
    device TEXT REFERENCES devices (id),
    person TEXT REFERENCES people (id),
    site   TEXT REFERENCES sites (id)
);
CREATE INDEX sim_links_device ON sim_links (device, imsi);
CREATE INDEX sim_links_person ON sim_links (person, imsi);
CREATE INDEX sim_links_site ON sim_links (site, imsi);

CREATE INDEX sims_device ON sims (device, imsi);

CREATE TABLE operators (
    name         TEXT PRIMARY KEY,
    display      TEXT NOT NULL,
    grants       TEXT NOT NULL,
    password     TEXT NOT NULL,
    totp         BLOB,
    totp_pending BLOB,
    totp_step    BIGINT NOT NULL,
    disabled     BIGINT,
    signed_in    BIGINT,
    version      BIGINT NOT NULL,
    created      BIGINT NOT NULL,
    changed      BIGINT NOT NULL
);

ALTER TABLE tokens ADD COLUMN grants TEXT;
ALTER TABLE tokens ADD COLUMN addresses TEXT;
ALTER TABLE tokens ADD COLUMN operator TEXT;
ALTER TABLE tokens ADD COLUMN idle_ms BIGINT;
CREATE INDEX tokens_operator ON tokens (operator);
