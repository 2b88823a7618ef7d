"""The daemon that Python workers fork from, warmed up first.

Spark starts it in place of ``pyspark.daemon`` (``spark.python.daemon.module``). Every module
named in ``RECLUST_WARM_MODULES`` is imported and its ``warm()`` called once; forked workers then
start with everything imported and compiled. No thread pool may be running at the fork, which the
environment of the session (one thread a library) sees to.
"""

from __future__ import annotations

import importlib
import os

from pyspark import daemon


def main() -> None:
    """Warm up, then serve."""
    for name in filter(None, os.environ.get("RECLUST_WARM_MODULES", "").split(",")):
        importlib.import_module(name).warm()
    daemon.manager()


if __name__ == "__main__":
    main()
