-- Facts that others tell: how devices are, who has proved to be whom, who looks dangerous; and the sources of it.

CREATE TABLE device_posture (
    device  TEXT PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

-- Where a SIM is at home beside the site that it is linked to.
CREATE TABLE sim_usual_sites (
    imsi TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    site TEXT NOT NULL REFERENCES sites (id),
    PRIMARY KEY (imsi, site)
);

-- Until when it is proved that the person uses the SIM.
CREATE TABLE sim_assurance (
    imsi TEXT PRIMARY KEY REFERENCES sims (imsi) ON DELETE CASCADE,
    body TEXT NOT NULL
);

-- How dangerous a person or a device looks to somebody else.
CREATE TABLE signal_risks (
    kind   TEXT NOT NULL,
    id     TEXT NOT NULL,
    level  TEXT NOT NULL,
    source TEXT NOT NULL,
    at     BIGINT NOT NULL,
    PRIMARY KEY (kind, id)
);

CREATE TABLE signal_sources (
    name    TEXT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

-- A source's secret, sealed, and how it does. Rows go with their source.
CREATE TABLE signal_health (
    source   TEXT PRIMARY KEY REFERENCES signal_sources (name) ON DELETE CASCADE,
    sealed   BLOB,
    last_ok  BIGINT,
    last_bad BIGINT,
    error    TEXT,
    accepted BIGINT NOT NULL,
    refused  BIGINT NOT NULL
);

-- What was taken from a source once and is not taken again: nonces of a webhook until their time is over, jti of
-- security events for as long as an event of their age would be taken.
CREATE TABLE signal_seen (
    source  TEXT NOT NULL REFERENCES signal_sources (name) ON DELETE CASCADE,
    word    TEXT NOT NULL,
    expires BIGINT NOT NULL,
    PRIMARY KEY (source, word)
);
CREATE INDEX signal_seen_expires ON signal_seen (expires);
