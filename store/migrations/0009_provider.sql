-- Sign-ins by an identity provider: who it was there, and the digest of the configuration that his rights come from.

ALTER TABLE tokens ADD COLUMN provider TEXT;
ALTER TABLE tokens ADD COLUMN issuer TEXT;
ALTER TABLE tokens ADD COLUMN subject TEXT;
ALTER TABLE tokens ADD COLUMN terms TEXT;

-- States of sign-ins by a provider that came back: each counts once. Kept as long as the browser's cookie.
CREATE TABLE provider_states (state TEXT PRIMARY KEY, used BIGINT NOT NULL);
CREATE INDEX provider_states_by_used ON provider_states (used);
