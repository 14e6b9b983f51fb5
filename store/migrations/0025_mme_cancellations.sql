-- MMEs that are to let go of a SIM (Cancel-Location) where nothing else says so: another MME serves it (0), or the device
-- that it told of is refused (2). Numbers are Cancellation-Type's. A row goes when the MME has answered, or has let go.

CREATE TABLE mme_cancellations (
    imsi  TEXT NOT NULL,
    mme   TEXT NOT NULL,
    kind  BIGINT NOT NULL,
    since BIGINT NOT NULL,
    PRIMARY KEY (imsi, mme)
);
