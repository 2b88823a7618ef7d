"""Populations whose groups are known."""

from __future__ import annotations

import numpy as np


def blobs(sizes: list[int], width: int = 6, apart: float = 12.0, seed: int = 0):
    """Gaussian groups, far apart: features of shape (sum of sizes, width), and each row's group."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(len(sizes), width))
    centres *= apart / np.linalg.norm(centres, axis=1, keepdims=True)
    group = np.repeat(np.arange(len(sizes)), sizes)
    return (centres[group] + rng.normal(size=(len(group), width))).astype(np.float32), group


def nested_blobs(seed: int = 0):
    """Three groups of 600, the first of them made of two halves that are near each other."""
    values, group = blobs([600, 600, 600], apart=15.0, seed=seed)
    half = np.arange(600) % 2 == 0
    values[:600][half] += np.float32(2.0)
    return values, group, half
