"""What fits cost is learned from fits, and tells how long is left."""

import numpy as np
import pytest

from reclust_spark.config import ZoomOptions
from reclust_spark.paths import ROOT
from reclust_spark.zoom.arrays import EXACT_ROWS
from reclust_spark.zoom.cost import Cost, Fit, Outlook, fits_in, learn_cost, makespan, seconds_left
from reclust_spark.zoom.tree import unseen_root

TRUE = Cost(0.05, 4e-4, 2e-8)


def timed(sizes, noise=0.0, seed=0) -> list[Fit]:
    rng = np.random.default_rng(seed)
    return [Fit(size, TRUE.seconds(size) * float(np.exp(rng.normal(0, noise)))) for size in sizes]


def test_a_cost_is_learned_from_small_fits_and_holds_for_large_ones():
    learned = learn_cost(timed(range(200, 30_000, 500), noise=0.1))
    for size in (1_000, 10_000, 100_000):
        assert learned.seconds(size) == pytest.approx(TRUE.seconds(size), rel=0.15)


def test_beyond_the_exact_search_people_cost_alike():
    more = TRUE.seconds(3 * EXACT_ROWS) - TRUE.seconds(2 * EXACT_ROWS)
    assert more == pytest.approx(TRUE.seconds(2 * EXACT_ROWS) - TRUE.seconds(EXACT_ROWS))


def test_no_part_of_a_cost_is_negative():
    # dearer by far than a line through them would have it
    learned = learn_cost([Fit(1_000, 0.1), Fit(2_000, 0.9), Fit(3_000, 5.0)])
    assert min(learned) >= 0


def test_fits_of_one_size_tell_what_a_person_costs():
    learned = learn_cost([Fit(50_000, 40.0, is_sample=True), Fit(50_000, 30.0, is_sample=True)])
    assert learned.of_sample * learned.seconds(25_000) == pytest.approx(17.5)


@pytest.mark.parametrize("fits", [[], [Fit(n, 1.0, threads=2) for n in (1, 2, 3)]])
def test_without_a_fit_by_one_thread_nothing_is_known(fits):
    assert learn_cost(fits) is None


def test_a_sample_costs_its_models_as_well():
    whole = timed(range(1_000, 9_000, 1_000))
    samples = [Fit(50_000, 1.5 * TRUE.seconds(50_000), is_sample=True)]
    learned = learn_cost(whole + samples)
    assert learned.seconds(5_000) == pytest.approx(TRUE.seconds(5_000), rel=0.01)
    assert learned.of_sample == pytest.approx(1.5, rel=0.05)


def test_fits_are_read_from_figures():
    figures = {
        ("/", "fit_seconds"): 3.0, ("/", "fit_rows"): 900.0, ("/", "fit_threads"): 2.0,
        ("/001/", "sample_0_fit_seconds"): 2.0, ("/001/", "sample_0_fit_rows"): 800.0,
        ("/002/", "fit_seconds"): 1.0, ("/", "layout_seconds"): 1.0,
    }  # fmt: skip
    assert fits_in(figures) == [Fit(900, 3.0, 2), Fit(800, 2.0, 1, is_sample=True)]


def test_tasks_are_packed_the_longest_first():
    assert makespan([2, 3, 2, 3, 2], 2) == 7
    assert makespan([2, 3, 2, 3, 2], 5) == 3
    assert makespan([], 2) == 0


def test_what_is_left_is_the_open_nodes_and_those_below_them():
    options = ZoomOptions(max_depth=2, min_share=0.01)
    ahead = Outlook([unseen_root(80_000, options)], 100_000, 80_000, 2, 4.0, 5.0)
    cost = Cost(1.0, 1e-3, 0.0)
    # the root, then four nodes of 20,000 on two slots, and what each wave takes beside
    assert seconds_left(cost, ahead, options) == pytest.approx(81 + 5 + 2 * 21 + 5)


def test_a_node_above_the_limit_costs_its_samples():
    options = ZoomOptions(max_depth=1, samples=3)
    ahead = Outlook([unseen_root(900_000, options)], 50_000, 900_000, 3, 4.0, 0.0)
    assert ahead.open[0].path == ROOT
    assert seconds_left(Cost(0.0, 1e-3, 0.0, of_sample=1.2), ahead, options) == pytest.approx(60)
    assert seconds_left(Cost(0.0, 1e-3, 0.0, of_sample=1.2), ahead._replace(slots=1), options) == (
        pytest.approx(180)
    )
