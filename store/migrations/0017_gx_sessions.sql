-- Sessions that live at an SMF by Gx: who is told to end them when their SIM may not be served any more. A row goes with the
-- SMF's termination.

CREATE TABLE gx_sessions (
    smf     TEXT NOT NULL,
    session TEXT NOT NULL,
    imsi    TEXT NOT NULL,
    dnn     TEXT NOT NULL,
    ip      TEXT,
    prefix  TEXT,
    state   BIGINT,
    since   BIGINT NOT NULL,
    PRIMARY KEY (smf, session)
);
