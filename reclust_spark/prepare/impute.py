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
_CHUNK_CELLS = 500_000
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
        return variance @ self.slots_of

    @cached_property
    def slots_of(self) -> Floats:
        """(slots, positions): 1 where a slot is the question's."""
        return (self.positions[:, None] == np.arange(self.answered.shape[1])).astype(np.float64)

    @cached_property
    def sides(self) -> tuple[Floats, Floats]:
        """The donors' sides of the products that distances are made of; see `_distances`."""
        both = self.answered.T.astype(np.float64)
        squares = (self.steps**2 @ self.slots_of).T
        return np.vstack([both, squares, -2.0 * self.steps.T]), both

    @cached_property
    def prior(self) -> float:
        """The weight of the imaginary question: that of an average one, at least 1."""
        return _PRIOR_WEIGHT * max(1.0, float(np.rint(self.influence.mean())))

    @cached_property
    def sorted_hashes(self) -> Hashes:
        """(donors,): to look people up among them."""
        return np.sort(self.hashes)

    @cached_property
    def seeded(self) -> Hashes:
        """(donors,): the donor's half of a pair's hash."""
        return splitmix64(self.hashes + np.uint64(self.seed))


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
    distances = _distances(features, hashes, missing, pool)
    front, front_pairs = _front(distances, hashes, pool)
    front_lots = splitmix64(front_pairs)
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
            donors = np.flatnonzero(pool.answered[:, position])
            chosen[far, position] = _draw(distances[far], hashes[far], donors, pool)
    return chosen


_NEVER = np.uint64(2**64 - 1)


def _front(distances: Floats, hashes: Hashes, pool: Pool) -> tuple[npt.NDArray[np.intp], Hashes]:
    """Return the 64 nearest donors of each person, the nearest first, and the pairs' hashes.

    Only those who are no farther than the 64th, ties included, are hashed and sorted.
    """
    ahead = min(_AHEAD, distances.shape[1])
    bound = np.partition(distances, ahead - 1, axis=1)[:, ahead - 1 : ahead]
    rows, near = np.nonzero(distances <= bound)
    pairs = splitmix64(hashes[rows] ^ pool.seeded[near])
    counts = np.bincount(rows, minlength=len(hashes))
    starts = counts.cumsum() - counts
    places = np.arange(len(rows)) - np.repeat(starts, counts)
    keys = np.full((len(hashes), counts.max()), _NEVER)
    keys[rows, places] = _keys(distances[rows, near], pairs)
    firsts = starts[:, None] + np.argsort(keys, axis=1)[:, :ahead]
    return near[firsts], pairs[firsts]


def _draw(
    distances: Floats, hashes: Hashes, donors: npt.NDArray[np.intp], pool: Pool
) -> npt.NDArray[np.intp]:
    """Draw from the nearest among all who answered, where the front rows do not hold enough."""
    pairs = splitmix64(hashes[:, None] ^ pool.seeded[donors])
    keys = _keys(distances[:, donors], pairs)
    nearest = min(NEAREST, len(donors))
    near = np.argpartition(keys, nearest - 1, axis=1)[:, :nearest]
    drawn = splitmix64(np.take_along_axis(pairs, near, axis=1)).argmin(axis=1)
    return donors[near[np.arange(len(near)), drawn]]


def _keys(distances: Floats, pairs: Hashes) -> Hashes:
    """Return sort keys: the distance in the high bits, a hash of the pair in the low ones."""
    tie = pairs >> np.uint64(64 - _TIE_BITS)
    return (distances.astype(np.uint64) << np.uint64(_TIE_BITS)) | tie


def _distances(features: Singles, hashes: Hashes, missing: Bools, pool: Pool) -> Floats:
    """Return the distance to each donor, in whole parts of a 2^20th; oneself is farthest.

    It is the mean squared one over the questions that both answered, joined by one imaginary
    question at the distance of two random people: who shares few questions does not look near by
    luck. A slot that one of the two did not answer counts 0 in each of the three products.
    """
    steps = _steps(features, pool)
    asked = (~missing).astype(np.float64)
    sides, both = pool.sides
    distances = np.hstack([steps**2 @ pool.slots_of, asked, steps]) @ sides
    weights = (asked * pool.influence) @ both
    distances += _PRIOR_DISTANCE * pool.prior
    weights += pool.prior
    distances /= weights
    distances *= 2.0**20
    np.minimum(distances, 2.0**_DISTANCE_BITS - 2, out=distances)
    np.floor(distances, out=distances)
    near = np.searchsorted(pool.sorted_hashes, hashes).clip(max=len(pool.hashes) - 1)
    own = np.flatnonzero(pool.sorted_hashes[near] == hashes)
    distances[own] = np.where(
        pool.hashes == hashes[own, None], 2.0**_DISTANCE_BITS - 1, distances[own]
    )
    return distances


def _filled(features: Singles, missing: Bools, donors: npt.NDArray[np.intp], pool: Pool) -> Singles:
    gaps = missing[:, pool.positions]
    rows, slots = np.nonzero(gaps)
    giver = donors[rows, pool.positions[slots]]
    given = np.where(giver < 0, pool.fill[slots], pool.features[giver, slots])
    result = features.copy()
    result[rows, slots] = given
    return result
