"""spark-submit jobs/report.py --config …: page, deck and workbook; options of `reclust report`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["report", *sys.argv[1:]])
