-- What changed with which generation of the policy, so that a change can be put in force without reading the whole. A
-- generation without a row here changed something else, or too much. Old rows go.
CREATE TABLE policy_changes (
    generation BIGINT PRIMARY KEY,
    kind       TEXT NOT NULL,
    name       TEXT NOT NULL
);
