"""spark-submit jobs/zoom.py --config …: the features become a tree; options of `reclust zoom`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["zoom", *sys.argv[1:]])
