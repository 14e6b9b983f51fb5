-- What the MME that serves a SIM knows of it by us (JSON, the HSS's own), and what MMEs have said that they do not
-- understand, until they are others: by Origin-State-Id and product.

ALTER TABLE serving_mmes ADD COLUMN told TEXT;

CREATE TABLE mme_unsupported (
    mme     TEXT NOT NULL,
    command BIGINT NOT NULL,
    state   BIGINT,
    product TEXT NOT NULL,
    PRIMARY KEY (mme, command)
);
