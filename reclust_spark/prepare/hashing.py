"""Counter-based hashes: a choice that looks random, yet depends on nothing but what is hashed."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pandas.util import hash_array

Hashes = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def splitmix64(words: Hashes) -> Hashes:
    """Return the SplitMix64 hash of each 64-bit word.

    Parameters
    ----------
    words : uint64 array of any shape

    Returns
    -------
    uint64 array of the same shape

    References
    ----------
    Steele, Lea, Flood (2014). Fast splittable pseudorandom number generators. OOPSLA.
    """
    mixed = words + _GOLDEN
    mixed ^= mixed >> np.uint64(30)
    mixed *= _MIX_1
    mixed ^= mixed >> np.uint64(27)
    mixed *= _MIX_2
    mixed ^= mixed >> np.uint64(31)
    return mixed


def row_hashes(row_ids: npt.NDArray[np.object_]) -> Hashes:
    """Return a 64-bit hash of each id, the same in every process and on every machine.

    Parameters
    ----------
    row_ids : (n,) array of str objects

    Returns
    -------
    (n,) uint64 array
        SipHash with pandas' fixed key, of the id's UTF-8, mixed once more: the low and the high
        end of the range are then equally likely.
    """
    return splitmix64(hash_array(row_ids, categorize=False))
