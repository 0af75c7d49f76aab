-- Records become small, and everything that is asked of them is found without reading all of them.
--
-- What many records share (names, versions, people) is kept once in names, and records refer to it by number. A
-- deployment is of one installation: a package of a feed on a target.

CREATE TABLE names (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL CHECK (kind IN ('group', 'package', 'target', 'version', 'application', 'user', 'recorder')),
    name_key TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (kind, name_key, name)
);

-- No group is the group with an empty name. An installation that differs from an earlier one in nothing but letter
-- case is the same as that, and only the earlier one holds its latest deployment: the one with the greatest date, and
-- of several the one that came last.
CREATE TABLE installations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    group_id INTEGER NOT NULL REFERENCES names (id),
    package_id INTEGER NOT NULL REFERENCES names (id),
    target_id INTEGER NOT NULL REFERENCES names (id),
    same_as INTEGER,
    latest_date INTEGER,
    latest_id INTEGER,
    UNIQUE (package_id, target_id, feed_id, group_id)
);

CREATE INDEX installations_by_target ON installations (target_id, package_id);
CREATE INDEX installations_by_feed ON installations (feed_id);
CREATE INDEX installations_by_group ON installations (group_id);
CREATE INDEX installations_spelt_otherwise ON installations (same_as) WHERE same_as IS NOT NULL;

ALTER TABLE deployments RENAME TO deployments_before;

CREATE TABLE deployments (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    installation_id INTEGER NOT NULL REFERENCES installations (id) ON DELETE CASCADE,
    version_id INTEGER NOT NULL REFERENCES names (id),
    application_id INTEGER NOT NULL REFERENCES names (id),
    user_id INTEGER NOT NULL REFERENCES names (id),
    description TEXT NOT NULL,
    url TEXT,
    date INTEGER NOT NULL,
    recorded_at INTEGER NOT NULL,
    recorded_by_id INTEGER NOT NULL REFERENCES names (id),
    recorded_key_id INTEGER
);

INSERT INTO names (kind, name_key, name)
SELECT DISTINCT 'group', casefold(coalesce(group_name, '')), coalesce(group_name, '') FROM deployments_before
UNION ALL SELECT DISTINCT 'package', casefold(package_name), package_name FROM deployments_before
UNION ALL SELECT DISTINCT 'target', casefold(target), target FROM deployments_before
UNION ALL SELECT DISTINCT 'version', casefold(version), version FROM deployments_before
UNION ALL SELECT DISTINCT 'application', casefold(application), application FROM deployments_before
UNION ALL SELECT DISTINCT 'user', casefold(user_name), user_name FROM deployments_before
UNION ALL SELECT DISTINCT 'recorder', casefold(recorded_by), recorded_by FROM deployments_before;

CREATE TEMP TABLE known AS SELECT id, kind, name FROM names;
CREATE UNIQUE INDEX temp.known_by_name ON known (kind, name, id);

INSERT INTO installations (feed_id, group_id, package_id, target_id)
SELECT b.feed_id, g.id, p.id, t.id
FROM deployments_before AS b
CROSS JOIN known AS g ON g.kind = 'group' AND g.name = coalesce(b.group_name, '')
CROSS JOIN known AS p ON p.kind = 'package' AND p.name = b.package_name
CROSS JOIN known AS t ON t.kind = 'target' AND t.name = b.target
GROUP BY b.feed_id, g.id, p.id, t.id
ORDER BY min(b.id);

UPDATE installations SET same_as = spelt.first
FROM (
    SELECT i.id, min(i.id) OVER (PARTITION BY i.feed_id, p.name_key, t.name_key, g.name_key) AS first
    FROM installations AS i
    JOIN names AS g ON g.id = i.group_id
    JOIN names AS p ON p.id = i.package_id
    JOIN names AS t ON t.id = i.target_id
) AS spelt
WHERE spelt.id = installations.id AND spelt.first <> installations.id;

-- CROSS JOIN keeps the order: SQLite, which knows nothing of these tables yet, would look through all installations of a
-- group for every record.
INSERT INTO deployments
SELECT b.id, i.id, v.id, a.id, u.id, b.description, b.url, b.date, b.recorded_at, r.id, b.recorded_key_id
FROM deployments_before AS b
CROSS JOIN known AS g ON g.kind = 'group' AND g.name = coalesce(b.group_name, '')
CROSS JOIN known AS p ON p.kind = 'package' AND p.name = b.package_name
CROSS JOIN known AS t ON t.kind = 'target' AND t.name = b.target
CROSS JOIN known AS v ON v.kind = 'version' AND v.name = b.version
CROSS JOIN known AS a ON a.kind = 'application' AND a.name = b.application
CROSS JOIN known AS u ON u.kind = 'user' AND u.name = b.user_name
CROSS JOIN known AS r ON r.kind = 'recorder' AND r.name = b.recorded_by
CROSS JOIN installations AS i
    ON i.package_id = p.id AND i.target_id = t.id AND i.feed_id = b.feed_id AND i.group_id = g.id
ORDER BY b.id;

DROP TABLE temp.known;

-- Ids are never used again, those of removed deployments neither.
DELETE FROM sqlite_sequence WHERE name = 'deployments';
INSERT INTO sqlite_sequence (name, seq) SELECT 'deployments', seq FROM sqlite_sequence WHERE name = 'deployments_before';
DROP TABLE deployments_before;

CREATE INDEX deployments_by_date ON deployments (date);
CREATE INDEX deployments_by_installation ON deployments (installation_id, date);

UPDATE installations SET (latest_date, latest_id) = (
    SELECT d.date, d.id
    FROM installations AS spelt JOIN deployments AS d ON d.installation_id = spelt.id
    WHERE spelt.id = installations.id OR spelt.same_as = installations.id
    ORDER BY d.date DESC, d.id DESC
    LIMIT 1
)
WHERE same_as IS NULL;

-- By number and not by name, in one step that is cheap enough for every insert.
CREATE TRIGGER deployments_become_latest AFTER INSERT ON deployments BEGIN
    UPDATE installations SET latest_date = NEW.date, latest_id = NEW.id
    WHERE id = (SELECT coalesce(same_as, id) FROM installations WHERE id = NEW.installation_id)
    AND (latest_date IS NULL OR latest_date <= NEW.date);
END;

-- What is kept up to date a moment later, many records at once, because keeping it with every insert would make
-- recording slower: every deployment up to indexed.deployment_id is in it, and those after that are few.
CREATE TABLE indexed (deployment_id INTEGER NOT NULL);
INSERT INTO indexed SELECT 0;

-- The deployments of a version, an application or a user.
CREATE TABLE name_uses (
    name_id INTEGER NOT NULL,
    date INTEGER NOT NULL,
    deployment_id INTEGER NOT NULL,
    feed_id INTEGER NOT NULL,
    PRIMARY KEY (name_id, date, deployment_id)
) WITHOUT ROWID;

-- How many deployments there were in a day (UTC, whole days since 1970), in a feed and by an application there.
CREATE TABLE daily_counts (
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (feed_id, day)
) WITHOUT ROWID;

CREATE TABLE application_counts (
    application_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    count INTEGER NOT NULL,
    PRIMARY KEY (application_id, day, feed_id)
) WITHOUT ROWID;

CREATE INDEX application_counts_by_feed ON application_counts (feed_id);

-- Finds the deployments that may have some characters in their description or link.
CREATE VIRTUAL TABLE deployment_texts USING fts5 (text, content = '', tokenize = 'trigram', detail = 'none');
CREATE VIRTUAL TABLE deployment_terms USING fts5vocab ('deployment_texts', 'row');

-- Deployments with their texts, for people who look into the database themselves.
CREATE VIEW deployment_records AS
SELECT
    d.id, i.feed_id, a.name AS application, d.description, t.name AS target, p.name AS package_name,
    v.name AS version, nullif(g.name, '') AS group_name, u.name AS user_name, d.url, d.date, d.recorded_at,
    r.name AS recorded_by, d.recorded_key_id
FROM deployments AS d
JOIN installations AS i ON i.id = d.installation_id
JOIN names AS a ON a.id = d.application_id
JOIN names AS t ON t.id = i.target_id
JOIN names AS p ON p.id = i.package_id
JOIN names AS v ON v.id = d.version_id
JOIN names AS g ON g.id = i.group_id
JOIN names AS u ON u.id = d.user_id
JOIN names AS r ON r.id = d.recorded_by_id;
