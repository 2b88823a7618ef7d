"""Numba's compiled code of UMAP, kept on disk between processes.

A first fit compiles for up to a minute; from the cache it loads in seconds. The cache lives
in ``NUMBA_CACHE_DIR`` or, where that is not set, in the environment that Python runs from.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import warnings
from functools import cache
from pathlib import Path

CACHED_PACKAGES = ("umap", "pynndescent")


def cache_folder() -> Path:
    """Return where compiled code is kept between processes."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(sys.prefix, "var", "numba"))


@cache
def enable_compile_cache() -> None:
    """Let every numba function of UMAP and PyNNDescent keep its compiled code on disk.

    Their sources compile at first call and forget; numba can cache any dispatcher after the fact.
    A folder that cannot be written leaves the functions as they were: compiled per process.
    Called again, it does nothing: forked workers have what their daemon enabled.
    """
    import numba
    from numba.core.dispatcher import Dispatcher

    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    if not os.access(folder, os.W_OK):
        return
    numba.config.CACHE_DIR = str(folder)
    # the search itself holds references that cannot be stored; it compiles once a process
    warnings.filterwarnings("ignore", message="Cannot cache compiled function")
    for package in CACHED_PACKAGES:
        root = importlib.import_module(package)
        names = [module.name for module in pkgutil.iter_modules(root.__path__, f"{package}.")]
        for name in [package, *names]:
            if module := sys.modules.get(name):
                for function in vars(module).values():
                    if isinstance(function, Dispatcher):
                        function.enable_caching()
