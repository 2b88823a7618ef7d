"""spark-submit jobs/prepare.py --config …: survey to features; options of `reclust prepare`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["prepare", *sys.argv[1:]])
