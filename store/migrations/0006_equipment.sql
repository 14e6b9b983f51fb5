-- The company's own equipment list, and what each SIM's device must be.
-- sims.device stays the short form of "exactly this device"; a row in bindings says it in full.

CREATE TABLE equipment (
    pattern TEXT PRIMARY KEY,
    colour  TEXT NOT NULL,
    label   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    version BIGINT NOT NULL,
    created BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

CREATE TABLE bindings (
    imsi         TEXT PRIMARY KEY REFERENCES sims (imsi) ON DELETE CASCADE,
    mode         TEXT NOT NULL,
    allowed      TEXT NOT NULL,
    when_missing TEXT NOT NULL,
    on_clone     TEXT NOT NULL
);

CREATE TABLE group_bindings (
    grp          TEXT PRIMARY KEY REFERENCES ue_groups (name) ON DELETE CASCADE,
    mode         TEXT NOT NULL,
    allowed      TEXT NOT NULL,
    when_missing TEXT NOT NULL,
    on_clone     TEXT NOT NULL,
    version      BIGINT NOT NULL,
    changed      BIGINT NOT NULL
);

CREATE TABLE learned_devices (
    imsi   TEXT PRIMARY KEY REFERENCES sims (imsi) ON DELETE CASCADE,
    device TEXT NOT NULL,
    at     BIGINT NOT NULL
);
CREATE INDEX learned_devices_device ON learned_devices (device);
