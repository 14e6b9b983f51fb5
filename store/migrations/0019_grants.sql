-- Rules that speak of a device or a person. Access to one app for a time, with who asked for it, who answers for it,
-- and what became of it; rows stay. The profile by which risk is weighed, where it is not the one that is shipped.

ALTER TABLE rules ADD COLUMN device TEXT REFERENCES devices (id);
ALTER TABLE rules ADD COLUMN person TEXT REFERENCES people (id);
CREATE INDEX rules_device ON rules (device);
CREATE INDEX rules_person ON rules (person);

CREATE TABLE grants (
    id        TEXT PRIMARY KEY,
    imsi      TEXT,
    person    TEXT,
    app       TEXT NOT NULL,
    reason    TEXT NOT NULL,
    requester TEXT NOT NULL,
    requested BIGINT NOT NULL,
    approver  TEXT,
    approved  BIGINT,
    began     BIGINT NOT NULL,
    ends      BIGINT NOT NULL,
    revoker   TEXT,
    revoked   BIGINT
);
CREATE INDEX grants_ends ON grants (ends);
CREATE INDEX grants_imsi ON grants (imsi, id);
CREATE INDEX grants_person ON grants (person, id);

CREATE TABLE risk_profile (
    one     BIGINT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed BIGINT NOT NULL
);
