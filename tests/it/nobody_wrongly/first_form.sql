CREATE TABLE runs (
    job          TEXT NOT NULL,
    run          TEXT NOT NULL,
    "trigger"    TEXT NOT NULL,
    dry_run      INTEGER NOT NULL CHECK (dry_run IN (0, 1)),
    started_at   TEXT NOT NULL,
    finished_at  TEXT NOT NULL,
    outcome      TEXT NOT NULL,
    error_kind   TEXT,
    error        TEXT,
    ftrack       TEXT NOT NULL,
    entries      INTEGER NOT NULL CHECK (entries >= 0),
    owned        INTEGER NOT NULL CHECK (owned >= 0),
    owned_active INTEGER NOT NULL CHECK (owned_active >= 0),
    held         INTEGER NOT NULL CHECK (held >= 0),
    failed       INTEGER NOT NULL CHECK (failed >= 0),
    PRIMARY KEY (job, run)
) STRICT, WITHOUT ROWID;
CREATE TABLE backoffs (
    job          TEXT NOT NULL PRIMARY KEY,
    failures     INTEGER NOT NULL CHECK (failures > 0),
    since        TEXT NOT NULL,
    retry_at     TEXT NOT NULL,
    suspended    INTEGER NOT NULL CHECK (suspended IN (0, 1)),
    kind         TEXT NOT NULL,
    error        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE pauses (
    job          TEXT NOT NULL PRIMARY KEY,
    since        TEXT NOT NULL,
    until        TEXT,
    reason       TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE refusals (
    server       TEXT NOT NULL PRIMARY KEY,
    mark         TEXT,
    failures     INTEGER NOT NULL CHECK (failures > 0),
    refused_at   TEXT NOT NULL,
    next_at      TEXT NOT NULL,
    error        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE absences (
    job          TEXT NOT NULL,
    directory_id TEXT NOT NULL,
    since        TEXT NOT NULL,
    reads        INTEGER NOT NULL CHECK (reads > 0),
    PRIMARY KEY (job, directory_id)
) STRICT, WITHOUT ROWID;
PRAGMA application_id = 1718379635;
PRAGMA user_version = 1;
