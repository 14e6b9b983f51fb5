-- Lists of many SIMs in any order, where SIMs were seen and in which devices, what the security desk looks at first, and
-- what it takes to say what held at a moment of the past.

-- When the SIM last proved itself; 0 where it never did since this is kept.
ALTER TABLE sims ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
CREATE INDEX sims_by_label ON sims (LOWER(label), imsi);
CREATE INDEX sims_by_iccid ON sims (COALESCE(iccid, ''), imsi);
CREATE INDEX sims_by_changed ON sims (changed, imsi);
CREATE INDEX sims_by_seen ON sims (seen, imsi);

-- Devices that a SIM was in, by their 14 digits; refused is when it was last turned away in this one.
CREATE TABLE sightings (
    imsi    TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    device  TEXT NOT NULL,
    first   BIGINT NOT NULL,
    last    BIGINT NOT NULL,
    times   BIGINT NOT NULL,
    refused BIGINT,
    PRIMARY KEY (imsi, device)
);
CREATE INDEX sightings_device ON sightings (device, last);
INSERT INTO sightings (imsi, device, first, last, times) SELECT imsi, device, at, at, 1 FROM learned_devices;

-- Groups that a SIM was in up to a moment.
CREATE TABLE sim_groups_past (
    imsi  TEXT NOT NULL REFERENCES sims (imsi) ON DELETE CASCADE,
    until BIGINT NOT NULL,
    grps  TEXT NOT NULL,
    PRIMARY KEY (imsi, until)
);
CREATE INDEX audit_action ON audit (action, seq);

-- 1 where the security desk wants to see it.
ALTER TABLE events ADD COLUMN security BIGINT NOT NULL DEFAULT 0;
UPDATE events SET security = 1 WHERE body LIKE '%"registration-refused":{%' OR body LIKE '%"device-mismatch":{%'
    OR body LIKE '%"equipment-black":{%' OR body LIKE '%"equipment-grey":{%' OR body LIKE '%"clone-found":{%'
    OR body LIKE '%"clone-suspected":{%' OR body LIKE '%"banned-reuse":{%' OR body LIKE '%"revoked":{%'
    OR body LIKE '%"gnb-refused":{%' OR body LIKE '%"policy-disagreement":{%' OR body LIKE '%"audit-broken":{%'
    OR body LIKE '%"alarm":{%';
CREATE INDEX events_security ON events (seq) WHERE security = 1;
