-- What a provisioning client knows people and groups as (RFC 7643). Members of groups stand in rows of their own: a
-- group of ten thousand is not written anew for each one who joins.

CREATE TABLE scim_resources (
    id       TEXT PRIMARY KEY,
    source   TEXT NOT NULL REFERENCES signal_sources (name) ON DELETE CASCADE,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    external TEXT,
    person   TEXT REFERENCES people (id),
    body     TEXT NOT NULL,
    version  BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    changed  BIGINT NOT NULL
);
CREATE UNIQUE INDEX scim_resources_key ON scim_resources (source, kind, key);
CREATE UNIQUE INDEX scim_resources_person ON scim_resources (person);
CREATE INDEX scim_resources_external ON scim_resources (source, kind, external);
CREATE INDEX scim_resources_order ON scim_resources (source, kind, created, id);

CREATE TABLE scim_members (
    grp    TEXT NOT NULL REFERENCES scim_resources (id) ON DELETE CASCADE,
    member TEXT NOT NULL REFERENCES scim_resources (id) ON DELETE CASCADE,
    PRIMARY KEY (grp, member)
);
CREATE INDEX scim_members_member ON scim_members (member);
