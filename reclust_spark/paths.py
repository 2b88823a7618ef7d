"""The algebra of cluster paths, and the seed that belongs to a path.

The root is ``/``; its children are ``/001/``, ``/002/`` …, theirs ``/003/001/``. Paths sort as a
tree and ``path LIKE '/003/%'`` is exactly a node and everything below it.
"""

from __future__ import annotations

import hashlib

ROOT = "/"
DIGITS = 3
MAX_CHILDREN = 10**DIGITS - 1


def child(path: str, number: int) -> str:
    """Return the path of a node's child.

    Parameters
    ----------
    path : str
        The parent.
    number : int
        The child's number, 1 to 999.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If the number does not fit three digits.
    """
    if not 1 <= number <= MAX_CHILDREN:
        raise ValueError(f"a child's number is 1 to {MAX_CHILDREN}, not {number}")
    return f"{path}{number:0{DIGITS}d}/"


def parent(path: str) -> str | None:
    """Return the parent's path, or None for the root."""
    if path == ROOT:
        return None
    return path[: -DIGITS - 1]


def depth(path: str) -> int:
    """Return how many splits lie above a node: 0 for the root."""
    return path.count("/") - 1


def is_within(path: str, ancestor: str) -> bool:
    """Tell whether a node is an ancestor itself or lies below it."""
    return path.startswith(ancestor)


def seed_of(seed: int, path: str) -> int:
    """Return the seed of a node: a hash of the run's seed and the node's path.

    Parameters
    ----------
    seed : int
        ``zoom.seed``.
    path : str
        The node's path.

    Returns
    -------
    int
        In [0, 2**31), the range that NumPy's and UMAP's seeds share.
    """
    digest = hashlib.sha256(f"{seed}:{path}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
