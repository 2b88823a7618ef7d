"""spark-submit jobs/explain.py --config …: what sets clusters apart; see `reclust explain`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["explain", *sys.argv[1:]])
