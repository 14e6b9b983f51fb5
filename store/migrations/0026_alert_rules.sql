-- The rules that raise alerts and act, where they are not as shipped; and tokens that such a rule has put to rest.

CREATE TABLE alert_rules (
    one     BIGINT PRIMARY KEY,
    body    TEXT NOT NULL,
    version BIGINT NOT NULL,
    changed BIGINT NOT NULL
);

ALTER TABLE tokens ADD COLUMN suspended BIGINT;
