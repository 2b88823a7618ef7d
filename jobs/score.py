"""spark-submit jobs/score.py --config …: people into the tree; options of `reclust score`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["score", *sys.argv[1:]])
