"""Asks the demo's tables three questions without Spark: run it with .venv/bin/python."""

import duckdb
from deltalake import DeltaTable

nodes = DeltaTable("warehouse/nodes").to_pyarrow_dataset()
assignments = DeltaTable("warehouse/assignments").to_pyarrow_dataset()
outside = DeltaTable("warehouse/outside").to_pyarrow_dataset()
explanations = DeltaTable("warehouse/explanations").to_pyarrow_dataset()

# how many people are in cluster 003, those of its sub-clusters included?
duckdb.sql("""
    SELECT tree_version, count(*) AS people
    FROM assignments WHERE path LIKE '/003/%' GROUP BY tree_version
""").show()

# what sets the clusters at the root apart, in the words of the questionnaire?
duckdb.sql("""
    SELECT path, question, direction, cluster_value, population_value, round(lift, 1) AS lift
    FROM explanations WHERE rank <= 2 AND length(path) = 5 ORDER BY path, rank
""").show()

# an outside question, cluster by cluster: what share of the voters voted for Trump?
duckdb.sql("""
    SELECT nodes.path, nodes.n_rows AS people, round(avg(number), 3) AS voted_trump
    FROM nodes
    JOIN assignments ON assignments.tree_version = nodes.tree_version
        AND starts_with(assignments.path, nodes.path)
    JOIN outside USING (row_id)
    WHERE source_column = 'votetrump' AND nodes.depth <= 1
    GROUP BY ALL ORDER BY path
""").show()
