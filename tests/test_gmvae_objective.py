"""The objectives held against what can be summed and integrated by hand."""

import math

import numpy as np
import pytest
import torch

from reclust_spark.gmvae import columns as c
from reclust_spark.gmvae import distributions as d
from reclust_spark.gmvae.network import GMVAE, Shape
from reclust_spark.gmvae.objective import (
    OBJECTIVES,
    Batch,
    bound,
    clusters,
    concrete,
    exact,
    importance_bound,
    vade,
)
from tests.gmvae_people import QUESTIONS, mixed_people

K = 4


@pytest.fixture(scope="module")
def people():
    features, inputs = mixed_people(60, seed=1)[:2]
    return features, inputs


def model_of(people, joint, n_latent=2, seed=0):
    features, inputs = people
    summary = c.summarise(features, inputs, QUESTIONS)
    columns = c.describe(summary, QUESTIONS, range(features.shape[1]))
    torch.manual_seed(seed)
    model = GMVAE(Shape(features.shape[1], K, n_latent, (8,), joint), columns,
                  *c.centre_and_scale(summary))  # fmt: skip
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
    targets = torch.as_tensor(c.targets_of(features, inputs, columns))
    return model, Batch(torch.as_tensor(features), targets)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def repeated(batch, times):
    return Batch(batch.features.repeat(times, 1), batch.targets.repeat(times, 1))


@torch.no_grad()
def test_exact_is_the_sum_over_clusters_of_a_hard_y(people):
    model, batch = model_of(people, joint=True)
    one = Batch(batch.features[:3], batch.targets[:3])
    many = repeated(one, 4000)
    log_q = model.q_y(model.encode(many.features))
    by_hand = torch.zeros(len(many.features))
    for k in range(K):
        y = torch.nn.functional.one_hot(torch.full((len(by_hand),), k), K).float()
        q_z, p_z = model.q_z(model.encode(many.features), y), model.p_z(y)
        told = model.log_likelihood(d.sample_gaussian(*q_z, generator(k)), many.targets).sum(-1)
        share = log_q.exp()[:, k]
        by_hand += share * (told - d.gaussian_kl(*q_z, *p_z) - log_q[:, k] + model.p_y()[k])
    found = exact(model, many, 1.0, generator(9)).bound
    torch.testing.assert_close(found.view(4000, 3).mean(0), by_hand.view(4000, 3).mean(0),
                               atol=0.05, rtol=0)  # fmt: skip


@torch.no_grad()
def test_a_hard_draw_has_the_mean_of_the_sum(people):
    model, batch = model_of(people, joint=True)
    many = repeated(Batch(batch.features[:3], batch.targets[:3]), 20_000)
    drawn = bound(model, many, generator(1)).view(20_000, 3).mean(0)
    summed = exact(model, many, 1.0, generator(2)).bound.view(20_000, 3).mean(0)
    torch.testing.assert_close(drawn, summed, atol=0.1, rtol=0)


@pytest.mark.parametrize("joint", [True, False])
@torch.no_grad()
def test_bounds_stay_below_the_evidence_and_more_samples_come_closer(people, joint):
    model, batch = model_of(people, joint, n_latent=1)
    grid = torch.linspace(-25, 25, 20_001)[:, None]
    few = Batch(batch.features[:5], batch.targets[:5])
    log_p_z = torch.logsumexp(model.log_joint(grid), -1)
    step = math.log(float(grid[1, 0] - grid[0, 0]))
    for i in range(5):
        told = model.log_likelihood(grid, few.targets[i : i + 1]).sum(-1)
        evidence = float(torch.logsumexp(told + log_p_z + step, 0))
        one = Batch(few.features[i : i + 1], few.targets[i : i + 1])
        single = float(bound(model, repeated(one, 5000), generator()).mean())
        tight = float(importance_bound(model, repeated(one, 50), 500, generator()).mean())
        assert single < tight < evidence + 0.05
        assert evidence - tight < 0.3 * (evidence - single) + 0.05


@pytest.mark.parametrize("name", OBJECTIVES)
def test_missing_answers_contribute_nothing(people, name):
    model, batch = model_of(people, joint=name != "vade")
    silent = Batch(batch.features, torch.full_like(batch.targets, torch.nan))
    terms = OBJECTIVES[name](model, silent, 0.5, generator())
    assert (terms.told == 0).all()
    (-terms.bound.sum()).backward()
    for head in model.heads.parameters():
        assert head.grad is None or (head.grad == 0).all()
    for parameter in model.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()


@torch.no_grad()
def test_concrete_draws_of_one_cluster_are_that_clusters_exact_terms(people):
    model, batch = model_of(people, joint=True)
    model.y_logits.weight.zero_()
    model.y_logits.bias.copy_(torch.tensor([0.0, 200.0, 0.0, 0.0]))
    soft = concrete(model, batch, 0.1, generator(3))
    hard = exact(model, batch, 0.1, generator(4))
    torch.testing.assert_close(soft.kl_z, hard.kl_z)
    torch.testing.assert_close(soft.kl_y, hard.kl_y)
    assert float(soft.kl_y[0]) == pytest.approx(-float(model.p_y()[1]), abs=1e-4)


@torch.no_grad()
def test_vade_places_people_by_bayes_rule(people):
    model, batch = model_of(people, joint=False)
    shares, z = clusters(model, batch.features)
    torch.testing.assert_close(shares.sum(-1), torch.ones(len(z)))
    prior = model.p_z()
    weights = model.p_y().exp().numpy()
    density = np.stack([
        weights[k] * torch.exp(
            d.gaussian_log_prob(z, prior.mean[k], prior.log_variance[k]).sum(-1)
        ).numpy()
        for k in range(K)
    ], axis=1)  # fmt: skip
    np.testing.assert_allclose(shares.numpy(), density / density.sum(1, keepdims=True), rtol=1e-3,
                               atol=1e-6)  # fmt: skip
    assert vade(model, batch, 1.0, generator()).bound.shape == (len(z),)
