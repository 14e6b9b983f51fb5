-- Passkeys of local operators: the credential is JSON with a public key and a counter, nothing secret.

CREATE TABLE passkeys (
    id TEXT PRIMARY KEY, operator TEXT NOT NULL, name TEXT NOT NULL, credential TEXT NOT NULL,
    created BIGINT NOT NULL, last_used BIGINT);
CREATE INDEX passkeys_by_operator ON passkeys (operator);
