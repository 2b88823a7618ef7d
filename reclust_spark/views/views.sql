-- Views over the tables of a reclust warehouse, in SQL that Spark and DuckDB both read. The tables are
-- named bare: run this with their schema as the current one (USE), or after views of their names, as
-- `reclust sql` does.

-- A node of a complete tree, with its name: the analyst's newest, else the models'.
CREATE OR REPLACE VIEW tree AS
WITH complete AS (
    SELECT tree_version, stage, max(prepare_version) AS prepare_version
    FROM runs
    WHERE status = 'complete' AND stage IN ('zoom', 'explain')
    GROUP BY tree_version, stage
),
named AS (
    SELECT
        labels.tree_version,
        labels.path,
        labels.label,
        row_number() OVER (
            PARTITION BY labels.tree_version, labels.path
            ORDER BY CASE WHEN labels.source = 'analyst' THEN 0 ELSE 1 END, labels.at DESC
        ) AS place
    FROM labels
    WHERE labels.source = 'analyst'
        OR labels.tree_version IN (SELECT tree_version FROM complete WHERE stage = 'explain')
)
SELECT
    nodes.tree_version,
    nodes.path,
    nodes.parent_path,
    nodes.depth,
    named.label,
    nodes.n_rows,
    nodes.weight,
    nodes.share,
    nodes.parent_share,
    nodes.n_children,
    nodes.n_noise,
    nodes.stop_reason,
    nodes.engine,
    nodes.n_fit,
    nodes.stability,
    nodes.fidelity,
    nodes.persistence,
    nodes.trustworthiness,
    nodes.medoid_row_id,
    complete.prepare_version
FROM nodes
JOIN complete ON complete.tree_version = nodes.tree_version AND complete.stage = 'zoom'
LEFT JOIN named
    ON named.tree_version = nodes.tree_version AND named.path = nodes.path AND named.place = 1;

-- A node that was not split further, and why: the leaves and their parents' noise are everyone.
CREATE OR REPLACE VIEW leaves AS
SELECT * FROM tree WHERE n_children = 0;

-- A person who is in the population now. People the tree was built on are where the fit put them,
-- unless they were scored since from another table, or from a newer version of the same one; then,
-- as everyone else who was, where the models put them last. A table scored again in a newer version
-- counts in its last one only, and people scored from several tables where they were scored last.
CREATE OR REPLACE VIEW members AS
WITH trees AS (
    SELECT zoomed.tree_version, prepared.input_table, prepared.input_version
    FROM runs AS zoomed
    JOIN runs AS prepared ON prepared.prepare_version = zoomed.prepare_version
    WHERE zoomed.stage = 'zoom' AND zoomed.status = 'complete'
        AND prepared.stage = 'prepare' AND prepared.status = 'complete'
),
scored AS (
    SELECT
        tree_version,
        input_table,
        input_version,
        finished_at,
        row_number() OVER (
            PARTITION BY tree_version, input_table ORDER BY finished_at DESC, input_version
        ) AS place
    FROM runs
    WHERE stage = 'score' AND status IN ('complete', 'reused')
),
since AS (
    SELECT scored.tree_version, scored.input_table, scored.input_version, scored.finished_at
    FROM scored
    JOIN trees ON trees.tree_version = scored.tree_version
    WHERE scored.place = 1
        AND NOT (
            scored.input_table = trees.input_table AND scored.input_version = trees.input_version
        )
),
found AS (
    SELECT
        scores.tree_version,
        scores.row_id,
        scores.path,
        scores.depth,
        scores.is_noise,
        scores.weight,
        scores.probability,
        row_number() OVER (
            PARTITION BY scores.tree_version, scores.row_id
            ORDER BY since.finished_at DESC, since.input_table
        ) AS place
    FROM scores
    JOIN since
        ON since.tree_version = scores.tree_version
        AND since.input_table = scores.input_table
        AND since.input_version = scores.input_version
)
SELECT
    assignments.tree_version,
    assignments.row_id,
    assignments.path,
    assignments.depth,
    assignments.is_noise,
    assignments.weight,
    assignments.assigned_by AS placed_by,
    assignments.strength
FROM assignments
JOIN trees ON trees.tree_version = assignments.tree_version
LEFT JOIN found
    ON found.tree_version = assignments.tree_version
    AND found.row_id = assignments.row_id
    AND found.place = 1
WHERE found.row_id IS NULL
UNION ALL
SELECT
    tree_version,
    row_id,
    path,
    depth,
    is_noise,
    weight,
    'model' AS placed_by,
    probability AS strength
FROM found
WHERE place = 1;

-- A cluster and one of the ten questions that say most of it, the first one first.
CREATE OR REPLACE VIEW leading_answers AS
SELECT
    explanations.tree_version,
    explanations.path,
    explanations.rank,
    explanations.source_column,
    explanations.question,
    explanations.direction,
    explanations.cluster_value,
    explanations.parent_value,
    explanations.population_value,
    explanations.lift,
    explanations.mean_abs_shap
FROM explanations
WHERE explanations.rank <= 10
    AND explanations.tree_version IN (
        SELECT tree_version FROM runs WHERE stage = 'explain' AND status = 'complete'
    );

-- A person and a depth: the cluster they are in when the tree is cut there. Whose place lies above
-- that depth stays in it; is_noise says that it was split, and that none of its clusters took them.
CREATE OR REPLACE VIEW cluster_at_depth AS
SELECT
    members.tree_version,
    members.row_id,
    levels.depth,
    substring(members.path, 1, 1 + 4 * levels.depth) AS path,
    members.is_noise AND levels.depth > members.depth AS is_noise,
    members.weight
FROM members
JOIN (SELECT DISTINCT tree_version, depth FROM tree) AS levels
    ON levels.tree_version = members.tree_version;
