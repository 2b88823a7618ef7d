import numpy as np
import pytest
import scipy.stats
import torch
from torch.distributions import Categorical, Normal, kl_divergence

from reclust_spark.gmvae import distributions as d


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_gaussians_are_those_of_torch():
    mean, log_variance = torch.randn(5, 3), torch.randn(5, 3)
    other, log_other = torch.randn(3), torch.randn(3)
    q = Normal(mean, torch.exp(0.5 * log_variance))
    p = Normal(other, torch.exp(0.5 * log_other))
    x = torch.randn(5, 3)
    torch.testing.assert_close(d.gaussian_log_prob(x, mean, log_variance), q.log_prob(x))
    torch.testing.assert_close(
        d.gaussian_kl(mean, log_variance, other, log_other), kl_divergence(q, p).sum(-1)
    )


def test_the_divergence_of_categoricals_is_that_of_torch():
    q, p = torch.randn(4, 6), torch.randn(6)
    wanted = kl_divergence(Categorical(logits=q), Categorical(logits=p))
    found = d.categorical_kl(torch.log_softmax(q, -1), torch.log_softmax(p, -1))
    torch.testing.assert_close(found, wanted)


def test_concrete_draws_lie_on_the_simplex_and_their_largest_part_follows_the_logits():
    # the largest part of a Concrete draw is a draw of the categorical, at any temperature
    shares = torch.tensor([0.6, 0.3, 0.1])
    for temperature in (0.1, 1.0):
        draws = d.sample_concrete(shares.log().expand(20_000, 3), temperature, generator())
        torch.testing.assert_close(draws.sum(-1), torch.ones(20_000))
        found = torch.bincount(draws.argmax(-1), minlength=3) / 20_000
        torch.testing.assert_close(found, shares, atol=0.015, rtol=0)
    cold = d.sample_concrete(shares.log().expand(1000, 3), 0.01, generator())
    assert (cold.max(-1).values > 0.99).float().mean() > 0.95


def test_categorical_draws_follow_their_shares():
    shares = torch.tensor([[0.5, 0.5, 0.0]]).expand(10_000, 3)
    found = torch.bincount(d.sample_categorical(shares.log(), generator()), minlength=3)
    assert found[2] == 0 and abs(int(found[0]) - 5000) < 200


@pytest.mark.parametrize("n_levels", [3, 4, 7])
def test_ordinal_levels_share_one_probability(n_levels):
    thresholds = d.ordinal_thresholds(
        torch.tensor([-1.0, 0.5]), torch.randn(2, 5), torch.tensor([n_levels, 7])
    )
    score = torch.tensor([[0.3, -2.0], [40.0, -40.0]])
    levels = torch.arange(n_levels)[:, None, None].expand(n_levels, 2, 2)
    total = d.ordinal_log_prob(levels, score, thresholds).exp().sum(0)
    torch.testing.assert_close(total[:, 0], torch.ones(2))
    if n_levels == 7:
        torch.testing.assert_close(total[:, 1], torch.ones(2))


def test_ordinal_probabilities_are_differences_of_the_logistic_function():
    thresholds = torch.tensor([[-d.ENDLESS, -1.0, 0.5, d.ENDLESS]], dtype=torch.float64)
    score = torch.tensor([[0.2]], dtype=torch.float64)
    cdf = scipy.stats.logistic.cdf(np.array([-1.2, 0.3]))
    wanted = np.log(np.diff([0, *cdf, 1]))
    for level, value in enumerate(wanted):
        found = d.ordinal_log_prob(torch.tensor([[level]]), score, thresholds)
        assert found.item() == pytest.approx(value, abs=1e-9)


def test_ordinal_gradients_are_finite_far_out():
    first = torch.zeros(1, requires_grad=True)
    steps = torch.zeros(1, 2, requires_grad=True)
    score = torch.tensor([[300.0], [-300.0], [0.0]], requires_grad=True)
    thresholds = d.ordinal_thresholds(first, steps, torch.tensor([4]))
    for level in range(4):
        d.ordinal_log_prob(torch.full((3, 1), level), score, thresholds).sum().backward(
            retain_graph=True
        )
    for tensor in (first, steps, score):
        assert torch.isfinite(tensor.grad).all()


def test_counts_follow_the_negative_binomial_of_scipy():
    counts = torch.arange(20.0, dtype=torch.float64)
    mean, size = 3.5, 1.7
    found = d.count_log_prob(
        counts, torch.tensor(mean, dtype=torch.float64).log(),
        torch.tensor(size, dtype=torch.float64).log(),
    )  # fmt: skip
    wanted = scipy.stats.nbinom.logpmf(counts.numpy(), size, size / (size + mean))
    np.testing.assert_allclose(found.numpy(), wanted, rtol=1e-9)


def test_a_share_is_told_as_a_mixture_of_yes_and_no():
    logit = torch.tensor([0.7])
    yes, no = (d.bernoulli_log_prob(torch.tensor([x]), logit) for x in (1.0, 0.0))
    torch.testing.assert_close(d.bernoulli_log_prob(torch.tensor([0.25]), logit),
                               0.25 * yes + 0.75 * no)  # fmt: skip
    torch.testing.assert_close(yes.exp() + no.exp(), torch.ones(1))


def test_levels_of_a_categorical_broadcast_over_clusters():
    logits, level = torch.randn(4, 5, 2, 3), torch.randint(0, 3, (5, 2))
    found = d.categorical_log_prob(level, logits)
    assert found.shape == (4, 5, 2)
    wanted = Categorical(logits=logits[2, 1, 0]).log_prob(level[1, 0])
    torch.testing.assert_close(found[2, 1, 0], wanted)


def test_distances_to_many_gaussians_are_those_to_each():
    rng = torch.Generator().manual_seed(0)
    mean, mean_0 = (5 + torch.randn(size, 4, generator=rng) for size in (50, 7))
    variance, log_variance_0 = (torch.randn(size, 4, generator=rng) for size in (50, 7))
    found = d.distance_to_each(mean, variance.exp(), mean_0, log_variance_0)
    apart = variance.exp()[:, None] + (mean[:, None] - mean_0).square()
    expected = (apart * torch.exp(-log_variance_0)).sum(-1)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
