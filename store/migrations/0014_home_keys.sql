-- Keys of the home network, for concealed identities: `id` is what a SUCI names one by, `sealed` the private key.

CREATE TABLE home_keys (
    id             BIGINT PRIMARY KEY,
    profile        TEXT NOT NULL,
    public         BLOB NOT NULL,
    sealed         BLOB NOT NULL,
    accepted_until BIGINT,
    version        BIGINT NOT NULL,
    created        BIGINT NOT NULL,
    changed        BIGINT NOT NULL
);
