"""spark-submit jobs/run.py --config …: every step in order; options of `reclust run`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["run", *sys.argv[1:]])
