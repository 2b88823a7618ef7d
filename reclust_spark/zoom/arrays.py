"""The array types of the zoom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

EXACT_ROWS = 16_384
"""Up to here all pairs of people are compared when neighbours are looked for."""
