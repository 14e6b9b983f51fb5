-- Addresses and prefixes that foreign SMFs gave of ranges of their own, and which SIM had them when. The first and the last
-- address are 32 hexadecimal digits, as those of networks behind SIMs, and the numbers are those of the leases.

CREATE TABLE foreign_leases (
    id      BIGINT PRIMARY KEY,
    imsi    TEXT NOT NULL,
    dnn     TEXT NOT NULL,
    smf     TEXT NOT NULL,
    net     TEXT NOT NULL,
    low     TEXT NOT NULL,
    high    TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended   BIGINT
);
CREATE UNIQUE INDEX foreign_leases_low ON foreign_leases (low) WHERE ended IS NULL;
CREATE INDEX foreign_leases_sim ON foreign_leases (imsi, id);
CREATE INDEX foreign_leases_history ON foreign_leases (low, started);
