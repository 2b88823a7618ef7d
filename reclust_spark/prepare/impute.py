"""Missing answers, by a seeded hot deck: people must not be grouped by what they skipped.

Filling a mean or a centre puts all who skipped a module at one place, which then is a cluster of
its own. Here each missing question is filled with the answer of a real person who is like the one
who skipped it: of the ten donors nearest by the questions that both answered, one drawn at random.
The draw depends on the pair of people only, so that questions which a donor answered together come
from one donor together, and their joint distribution is kept.

A person's result depends on their own answers, id, the seed and the pool of donors, not on the rows
beside them: encoded answers are rounded to whole multiples of a step, so that the sums of squares
in a matrix product are exact whatever order BLAS takes, and ties (Likert answers tie all the time)
are broken by a hash of the pair instead of the order of the pool.

References
----------
Andridge, Little (2010). A review of hot deck imputation for survey non-response. Int. Stat. Review.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from reclust_spark.prepare.encode import Encoder
from reclust_spark.prepare.hashing import Hashes, row_hashes, splitmix64
from reclust_spark.prepare.values import Floats

POOL_ROWS = 5_000
POOL_CELLS = 4_000_000
NEAREST = 10
_AHEAD = 64
_CHUNK_CELLS = 2_000_000
_STEPS = 256.0
_REACH = 32.0
_PRIOR_WEIGHT = 1.0
_PRIOR_DISTANCE = 2.0
_DISTANCE_BITS, _TIE_BITS = 34, 30

Bools = npt.NDArray[np.bool_]
Singles = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Pool:
    """The donors.

    Attributes
    ----------
    features : (donors, slots) float32 array
        NaN where a donor did not answer.
    hashes : (donors,) uint64 array
        Of their ids.
    positions : (slots,) intp array
        The question of each slot.
    fill : (slots,) float64 array
        For a question that no donor answered.
    seed : int
    """

    features: Singles
    hashes: Hashes
    positions: npt.NDArray[np.intp]
    fill: Floats
    seed: int

    @cached_property
    def answered(self) -> Bools:
        """(donors, positions): who answered what."""
        return _answered(self.features, self.positions)

    @cached_property
    def unit(self) -> float:
        """The power of two near the largest spread: the unit in which distances are taken."""
        filled = np.where(np.isnan(self.features), self.fill, self.features)
        spread = float(filled.std(axis=0, dtype=np.float64).max(initial=0.0))
        return 2.0 ** round(np.log2(spread)) if spread > 0 else 1.0

    @cached_property
    def steps(self) -> Floats:
        """(donors, slots): whole steps from the centre; 0 where missing."""
        return _steps(self.features, self)

    @cached_property
    def influence(self) -> Floats:
        """(positions,): each question's variance among donors, in whole squared steps."""
        answers = self.answered[:, self.positions].sum(axis=0)
        total, squares = self.steps.sum(axis=0), (self.steps**2).sum(axis=0)
        n = np.maximum(answers, 1)
        variance = np.rint(squares / n - (total / n) ** 2)
        n_positions = self.answered.shape[1]
        summed = np.bincount(self.positions, weights=variance, minlength=n_positions)
        return summed.astype(np.float64)


def pool_size(n_slots: int) -> int:
    """Return how many donors there may be: at most 5,000 and 4 million cells."""
    return max(1, min(POOL_ROWS, POOL_CELLS // max(1, n_slots)))


def build_pool(
    encoder: Encoder, answers: Floats, row_ids: npt.NDArray[np.object_], seed: int
) -> Pool:
    """Make donors of the first rows of the sample.

    Parameters
    ----------
    encoder : Encoder
    answers : (k, positions) float64 array
        The sample, in its own order.
    row_ids : (k,) array of str objects
    seed : int

    Returns
    -------
    Pool
    """
    size = pool_size(len(encoder.slots))
    features = encoder.features(answers[:size])
    hashes = row_hashes(row_ids[:size])
    return Pool(features, hashes, encoder.positions, encoder.fill, seed)


def impute(features: Singles, row_ids: npt.NDArray[np.object_], pool: Pool) -> Singles:
    """Fill missing features from donors.

    Parameters
    ----------
    features : (n, slots) float32 array
        NaN where missing.
    row_ids : (n,) array of str objects
    pool : Pool

    Returns
    -------
    (n, slots) float32 array
        Without NaN; rows that were complete are as they were.
    """
    result = features.copy()
    missing = ~_answered(features, pool.positions)
    rows = np.flatnonzero(missing.any(axis=1))
    size = max(1, _CHUNK_CELLS // max(1, len(pool.features), features.shape[1]))
    for start in range(0, len(rows), size):
        chunk = rows[start : start + size]
        hashes = row_hashes(row_ids[chunk])
        donors = _donors(features[chunk], hashes, missing[chunk], pool)
        result[chunk] = _filled(features[chunk], missing[chunk], donors, pool)
    return result


def _answered(features: Singles, positions: npt.NDArray[np.intp]) -> Bools:
    """Tell which positions are answered: all slots of one are NaN together."""
    _, first = np.unique(positions, return_index=True)
    return ~np.isnan(features[:, first])


def _steps(features: Singles, pool: Pool) -> Floats:
    """Round to whole steps, 256 to the unit; beyond 32 units all is equally far."""
    centred = (features.astype(np.float64) - pool.fill) / pool.unit
    steps = np.rint(np.clip(centred, -_REACH, _REACH) * _STEPS)
    return np.where(np.isnan(steps), 0.0, steps)


def _donors(features: Singles, hashes: Hashes, missing: Bools, pool: Pool) -> npt.NDArray[np.intp]:
    """Choose a donor for each missing question.

    Returns
    -------
    (n, positions) intp array
        Index into the pool; −1 where nothing is missing, or no donor answered.
    """
    chosen = np.full(missing.shape, -1, dtype=np.intp)
    pairs = splitmix64(hashes[:, None] ^ splitmix64(pool.hashes + np.uint64(pool.seed))[None, :])
    keys = _keys(features, hashes, missing, pairs, pool)
    ahead = min(_AHEAD, keys.shape[1])
    front = np.argpartition(keys, ahead - 1, axis=1)[:, :ahead]
    front = np.take_along_axis(front, np.argsort(np.take_along_axis(keys, front, 1), axis=1), 1)
    front_lots = splitmix64(np.take_along_axis(pairs, front, axis=1))
    has_donor = pool.answered.any(axis=0)
    for position in np.flatnonzero(missing.any(axis=0) & has_donor):
        rows = np.flatnonzero(missing[:, position])
        able = pool.answered[:, position][front[rows]]
        rank = able.cumsum(axis=1)
        short = rank[:, -1] < min(NEAREST, pool.answered[:, position].sum())
        drawn = np.where(able & (rank <= NEAREST), front_lots[rows], _NEVER).argmin(axis=1)
        chosen[rows, position] = front[rows, drawn]
        if short.any():
            far = rows[short]
            chosen[far, position] = _draw(keys[far], pairs[far], pool.answered[:, position])
    return chosen


_NEVER = np.uint64(2**64 - 1)


def _draw(keys: Hashes, pairs: Hashes, able: Bools) -> npt.NDArray[np.intp]:
    """Draw from the nearest among all who answered, where the front rows do not hold enough."""
    donors = np.flatnonzero(able)
    keys, pairs = keys[:, donors], pairs[:, donors]
    nearest = min(NEAREST, len(donors))
    near = np.argpartition(keys, nearest - 1, axis=1)[:, :nearest]
    drawn = splitmix64(np.take_along_axis(pairs, near, axis=1)).argmin(axis=1)
    return donors[near[np.arange(len(near)), drawn]]


def _keys(features: Singles, hashes: Hashes, missing: Bools, pairs: Hashes, pool: Pool) -> Hashes:
    """Return sort keys: the distance in the high bits, a hash of the pair in the low ones.

    The distance is the mean squared one over the questions that both answered, joined by one
    imaginary question at the distance of two random people: who shares few questions does not
    look near by luck.
    """
    steps = _steps(features, pool)
    asked = (~missing).astype(np.float64)
    both = pool.answered.astype(np.float64)
    slots_asked, slots_both = asked[:, pool.positions], both[:, pool.positions]
    squares = (
        (steps**2) @ slots_both.T + slots_asked @ (pool.steps**2).T - 2.0 * (steps @ pool.steps.T)
    )
    prior = _PRIOR_WEIGHT * max(1.0, float(np.rint(pool.influence.mean())))
    weights = (asked * pool.influence) @ both.T
    distance = (squares + _PRIOR_DISTANCE * prior) / (weights + prior)
    coarse = np.minimum(distance * 2.0**20, 2.0**_DISTANCE_BITS - 2).astype(np.uint64)
    keys = (coarse << np.uint64(_TIE_BITS)) | (pairs >> np.uint64(64 - _TIE_BITS))
    return np.where(pool.hashes[None, :] == hashes[:, None], _NEVER, keys)


def _filled(features: Singles, missing: Bools, donors: npt.NDArray[np.intp], pool: Pool) -> Singles:
    gaps = missing[:, pool.positions]
    rows, slots = np.nonzero(gaps)
    giver = donors[rows, pool.positions[slots]]
    given = np.where(giver < 0, pool.fill[slots], pool.features[giver, slots])
    result = features.copy()
    result[rows, slots] = given
    return result
