-- A password that somebody else set or saw is good for one thing: choosing one's own.

ALTER TABLE operators ADD COLUMN must_change BIGINT NOT NULL DEFAULT 0;
