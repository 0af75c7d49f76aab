-- Questions about very many records take no longer than those about few, and records become smaller.

-- With the package, so that the packages of a feed are found in the order of their names.
DROP INDEX installations_by_feed;
CREATE INDEX installations_by_feed ON installations (feed_id, package_id);

-- By day first: so they are summed up over all feeds without being sorted.
CREATE TABLE counts_by_day (
    feed_id INTEGER NOT NULL REFERENCES feeds (id) ON DELETE CASCADE,
    day INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (day, feed_id)
) WITHOUT ROWID;

INSERT INTO counts_by_day (feed_id, day, count) SELECT feed_id, day, count FROM daily_counts ORDER BY day, feed_id;
DROP TABLE daily_counts;
ALTER TABLE counts_by_day RENAME TO daily_counts;

-- How many deployments of a package, a group, to a target, by an application or by a user there were in a day, in a
-- feed. Those of a feed that was removed stay, and are never looked at.
CREATE TABLE name_counts (
    name_id INTEGER NOT NULL,
    day INTEGER NOT NULL,
    feed_id INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (name_id, day, feed_id)
) WITHOUT ROWID;

INSERT INTO name_counts SELECT application_id, day, feed_id, count FROM application_counts;
DROP TABLE application_counts;

CREATE TEMP TABLE counted AS
SELECT
    d.installation_id, (d.date - ((d.date % 86400000000) + 86400000000) % 86400000000) / 86400000000 AS day,
    count(*) AS count
FROM deployments AS d INDEXED BY deployments_by_installation
WHERE d.id <= (SELECT deployment_id FROM indexed)
GROUP BY 1, 2;

INSERT INTO name_counts
SELECT i.package_id, c.day, i.feed_id, sum(c.count)
FROM counted AS c CROSS JOIN installations AS i ON i.id = c.installation_id
GROUP BY 1, 2, 3;

INSERT INTO name_counts
SELECT i.target_id, c.day, i.feed_id, sum(c.count)
FROM counted AS c CROSS JOIN installations AS i ON i.id = c.installation_id
GROUP BY 1, 2, 3;

INSERT INTO name_counts
SELECT i.group_id, c.day, i.feed_id, sum(c.count)
FROM counted AS c CROSS JOIN installations AS i ON i.id = c.installation_id
GROUP BY 1, 2, 3;

DROP TABLE temp.counted;

INSERT INTO name_counts
SELECT d.user_id, (d.date - ((d.date % 86400000000) + 86400000000) % 86400000000) / 86400000000, i.feed_id, count(*)
FROM deployments AS d NOT INDEXED CROSS JOIN installations AS i ON i.id = d.installation_id
WHERE d.id <= (SELECT deployment_id FROM indexed)
GROUP BY 1, 2, 3;

-- Of deployments that are indexed together and have the same texts only the first is in deployment_texts.
CREATE TABLE same_texts (
    first_id INTEGER NOT NULL,
    deployment_id INTEGER NOT NULL,
    PRIMARY KEY (first_id, deployment_id)
) WITHOUT ROWID;

-- Finds the names that may have some characters. Every name up to indexed.name_id is in it.
CREATE VIRTUAL TABLE name_texts USING fts5 (text, content = '', tokenize = 'trigram', detail = 'none', columnsize = 0);
CREATE VIRTUAL TABLE name_terms USING fts5vocab ('name_texts', 'row');
INSERT INTO name_texts (rowid, text) SELECT id, name_key || char(10, 10) FROM names WHERE kind <> 'recorder' ORDER BY id;
ALTER TABLE indexed ADD COLUMN name_id INTEGER NOT NULL DEFAULT 0;
UPDATE indexed SET name_id = (SELECT coalesce(max(id), 0) FROM names);
