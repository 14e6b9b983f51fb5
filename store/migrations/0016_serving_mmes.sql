-- Which MME serves a SIM by S6a: who is told when it may not be served any more. A row goes when the MME purges it.

CREATE TABLE serving_mmes (
    imsi  TEXT PRIMARY KEY,
    mme   TEXT NOT NULL,
    since BIGINT NOT NULL
);
