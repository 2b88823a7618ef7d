"""spark-submit jobs/train_gmvae.py --config …: a GMVAE; see `reclust train-gmvae`."""

import sys

from reclust_spark.cli import main

if __name__ == "__main__":
    main(["train-gmvae", *sys.argv[1:]])
