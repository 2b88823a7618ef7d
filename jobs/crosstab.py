"""spark-submit jobs/crosstab.py --config …: outside questions; options of `reclust crosstab`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["crosstab", *sys.argv[1:]])
