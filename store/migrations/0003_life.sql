-- The life of a SIM: tickets, schedules, and long runs with their progress, findings and way back.

ALTER TABLE sim_history ADD COLUMN ticket TEXT NOT NULL DEFAULT '';

CREATE TABLE jobs (
    id      BIGINT PRIMARY KEY,
    kind    TEXT NOT NULL,
    phase   TEXT NOT NULL,
    actor   TEXT NOT NULL,
    reason  TEXT NOT NULL,
    ticket  TEXT NOT NULL,
    state   TEXT NOT NULL,
    done    BIGINT NOT NULL,
    total   BIGINT,
    created BIGINT NOT NULL,
    started BIGINT,
    ended   BIGINT,
    result  TEXT
);
CREATE INDEX jobs_state ON jobs (state, id);

-- What a job found or did, line by line, some hundred lines to a row. part is errors, rows or kept.
CREATE TABLE job_items (
    job   BIGINT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    part  TEXT NOT NULL,
    first BIGINT NOT NULL,
    n     BIGINT NOT NULL,
    body  TEXT NOT NULL,
    PRIMARY KEY (job, part, first)
);

-- The rows of an import, some hundred to a row here. step is staged, applied or undone. A staged body holds what is
-- to be written, keys sealed; an applied one holds what an undo needs, and no key.
CREATE TABLE import_chunks (
    job  BIGINT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    seq  BIGINT NOT NULL,
    step TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (job, seq)
);

CREATE TABLE schedules (
    id       BIGINT PRIMARY KEY,
    imsi     TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    kind     TEXT NOT NULL,
    at       BIGINT NOT NULL,
    to_state TEXT NOT NULL,
    actor    TEXT NOT NULL,
    reason   TEXT NOT NULL,
    ticket   TEXT NOT NULL,
    created  BIGINT NOT NULL,
    state    TEXT NOT NULL,
    ended    BIGINT,
    outcome  TEXT
);
CREATE INDEX schedules_waiting ON schedules (state, at, id);
CREATE INDEX schedules_imsi ON schedules (imsi, id);
