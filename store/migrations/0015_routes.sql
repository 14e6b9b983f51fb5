-- Networks behind SIMs (framed routes), and who had them when. The first and the last address are 32 hexadecimal
-- digits, IPv4 as IPv4-mapped IPv6, so that their order is that of the addresses. Rows stay when their SIM goes.

CREATE TABLE sim_routes (
    id      BIGINT PRIMARY KEY,
    imsi    TEXT NOT NULL,
    dnn     TEXT NOT NULL,
    prefix  TEXT NOT NULL,
    low     TEXT NOT NULL,
    high    TEXT NOT NULL,
    started BIGINT NOT NULL,
    ended   BIGINT
);
CREATE UNIQUE INDEX sim_routes_low ON sim_routes (low) WHERE ended IS NULL;
CREATE INDEX sim_routes_sim ON sim_routes (imsi, id);
CREATE INDEX sim_routes_history ON sim_routes (low, started);
