"""Numba's compiled code, kept on disk between processes.

A first fit compiles for seconds with our own kernels and for up to a minute with those of UMAP;
from the cache it loads at once. The cache lives in ``NUMBA_CACHE_DIR`` or, where that is not set,
in the environment that Python runs from.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core.dispatcher import Dispatcher

UMAP_PACKAGES = ("umap", "pynndescent")

Function = TypeVar("Function", bound=Callable[..., Any])


def cache_folder() -> Path:
    """Return where compiled code is kept between processes."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or Path(sys.prefix, "var", "numba"))


def kernel(*, reorder: bool = False) -> Callable[[Function], Function]:
    """Compile a function at its first call, or load it; it runs without Python's lock.

    Where the cache cannot be written, it is compiled once a process.

    Parameters
    ----------
    reorder : bool
        Sums may be taken in the order that this type of processor is fastest at.

    Returns
    -------
    callable
        A decorator.
    """

    def decorate(function: Function) -> Function:
        compiled = numba.njit(nogil=True, fastmath={"reassoc"} if reorder else False)(function)
        if _can_keep():
            _keep(compiled)
        return compiled

    return decorate


@cache
def enable_compile_cache() -> None:
    """Let every numba function of UMAP and PyNNDescent keep its compiled code on disk.

    Their sources compile at first call and forget; numba can cache any dispatcher after the fact.
    Called again, it does nothing: forked workers have what their daemon enabled.
    """
    if not _can_keep():
        return
    # the search itself holds references that cannot be stored; it compiles once a process
    warnings.filterwarnings("ignore", message="Cannot cache compiled function")
    for package in UMAP_PACKAGES:
        root = importlib.import_module(package)
        names = [module.name for module in pkgutil.iter_modules(root.__path__, f"{package}.")]
        for name in [package, *names]:
            if module := sys.modules.get(name):
                for function in vars(module).values():
                    if isinstance(function, Dispatcher):
                        _keep(function)


def _keep(function: Dispatcher) -> None:
    """Give a function its place in the cache; where others keep theirs is their own affair."""
    before = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder())
    try:
        function.enable_caching()
    finally:
        numba.config.CACHE_DIR = before


@cache
def _can_keep() -> bool:
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)
