import re

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from reclust_spark.config import GmvaeOptions
from reclust_spark.errors import InputError, RunError
from reclust_spark.gmvae import columns as c
from reclust_spark.gmvae import schedule, store
from reclust_spark.gmvae import train as training
from reclust_spark.gmvae.group import Alone
from reclust_spark.gmvae.latents import alone
from reclust_spark.gmvae.objective import clusters
from reclust_spark.gmvae.rounds import MAIN, WARM, Round, State
from reclust_spark.gmvae.sample import cluster_sample
from reclust_spark.gmvae.shard import Shard, epoch, shares
from reclust_spark.gmvae.train import train
from reclust_spark.gmvae.work import new_model
from tests.gmvae_people import KINDS, QUESTIONS, mixed_people

SMALL = {"k": KINDS, "n_latent": 3, "hidden": (32,), "batch_size": 100, "warm_steps": 400,
         "taught_steps": 200,
         "max_steps": 400, "anneal_steps": 100, "round_steps": 50, "held_out": 0.1}  # fmt: skip

BRIEF = {
    "batch_size": 50,
    "warm_steps": 45,
    "taught_steps": 10,
    "max_steps": 50,
    "anneal_steps": 20,
    "round_steps": 15,
}
"""Three rounds, then four; a pass of 1,000 people has 18 steps, and is cut by the rounds."""


def ready(options, n=2000, seed=0):
    features, inputs, kind = mixed_people(n, seed)
    summary = c.summarise(features, inputs, QUESTIONS)
    columns = c.describe(summary, QUESTIONS, range(features.shape[1]))
    held_out = np.arange(n) % 10 == 0
    shard = Shard(features, c.targets_of(features, inputs, columns), held_out)
    return new_model(summary, columns, options), shard, kind


@pytest.fixture(scope="module", autouse=True)
def sample_clustered_here():
    """Cluster the sample in this process: another one would import all of UMAP each time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "cluster_apart", cluster_sample)
        yield


class Remembering:
    def __init__(self, stop_after=None):
        self.states, self.stop_after = [], stop_after

    def load(self):
        return self.states[-1] if self.states else None

    def save(self, state):
        tensors = {name: value.detach().clone() for name, value in state.tensors.items()}
        self.states.append(state._replace(tensors=tensors, rounds=list(state.rounds)))
        if len(self.states) == self.stop_after:
            raise KeyboardInterrupt


@pytest.mark.parametrize("objective", ["concrete", "exact", "vade"])
def test_the_kinds_of_people_are_found(objective):
    options = GmvaeOptions(**SMALL, objective=objective)
    model, shard, kind = ready(options)
    found = train(model, shard, Alone(), options)
    with torch.no_grad():
        shares, places = clusters(found.model, torch.as_tensor(shard.features))
    assert adjusted_rand_score(kind, shares.argmax(1).numpy()) > 0.9
    assert places.shape == (len(kind), 3)
    main = [one for one in found.rounds if one.phase == MAIN]
    assert [one.phase for one in found.rounds[:9]] == [WARM] * 8 + [MAIN]
    assert main[-1].bound > main[0].bound - 1 and found.bound == max(one.bound for one in main)


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    runs = []
    for seed in (1, 1, 2):
        options = GmvaeOptions(**SMALL | BRIEF, start="autoencoder", seed=seed)
        model, shard, _ = ready(options, n=1000)
        runs.append([one.loss for one in train(model, shard, Alone(), options).rounds])
    assert runs[0] == runs[1] != runs[2]


@pytest.fixture(scope="module")
def whole():
    """A brief run that nothing stopped."""
    options = GmvaeOptions(**SMALL | BRIEF)
    model, shard, _ = ready(options, n=1000)
    return train(model, shard, Alone(), options)


@pytest.mark.parametrize("stop_after", [2, 3, 5])
def test_a_run_that_was_stopped_goes_on_as_if_it_had_not_been(stop_after, whole):
    options = GmvaeOptions(**SMALL | BRIEF)
    keeper = Remembering(stop_after)
    model, shard, _ = ready(options, n=1000)
    with pytest.raises(KeyboardInterrupt):
        train(model, shard, Alone(), options, keeper)
    model, shard, _ = ready(options, n=1000)
    resumed = train(model, shard, Alone(), options, keeper)
    assert [one.loss for one in resumed.rounds] == [one.loss for one in whole.rounds]
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, resumed.model.state_dict()[name]), name


def test_training_ends_when_the_held_out_bound_rises_no_more():
    endless = {"max_steps": 10_000, "patience": 2, "learning_rate": 0.01, "start": "autoencoder"}
    options = GmvaeOptions(**SMALL | endless)
    model, shard, _ = ready(options, n=500)
    found = train(model, shard, Alone(), options)
    main = [one for one in found.rounds if one.phase == MAIN]
    assert len(main) < 100, "of 200"
    settled = [one.bound for one in main[2:]]
    assert max(settled[-2:]) <= max(settled[:-2])


def test_a_loss_that_is_no_number_names_step_and_column_and_keeps_the_last_checkpoint():
    options = GmvaeOptions(**SMALL | BRIEF, start="autoencoder")
    model, shard, _ = ready(options, n=1000)
    place = [column.name for column in model.heads.columns].index("visits")
    keeper = Remembering(stop_after=3)
    with pytest.raises(KeyboardInterrupt):
        train(model, shard, Alone(), options, keeper)
    shard.targets[np.flatnonzero(~shard.held_out)[7], place] = np.inf
    with pytest.raises(RunError, match=r"not a number at step \d+; column 'visits'") as caught:
        train(ready(options, n=1000)[0], shard, Alone(), options, keeper)
    step = int(re.search(r"step (\d+)", str(caught.value))[1])
    last = keeper.states[-1]
    assert len(last.rounds) == step // 15 >= 3, "the last good round is kept"
    assert all(torch.isfinite(value).all() for value in last.tensors.values())


def test_processes_take_equally_many_steps_and_each_person_once():
    found = shares([1000, 730, 0], 100)
    assert found.shape == (10, 3)
    assert found.sum(0).tolist() == [1000, 730, 0]
    assert found[:, 0].max() <= 100 and found[:, 1].min() >= 73


def test_a_pass_has_everyone_who_is_not_held_out_once_however_it_is_cut():
    features = np.arange(50, dtype=np.float32)[:, None]
    shard = Shard(features, features, np.arange(50) % 5 == 0)
    sizes = shares([40], 16)[:, 0]

    def seen(seed, *cuts):
        batches = [b for cut in cuts for b in epoch(shard, sizes, cut, seed, torch.device("cpu"))]
        return torch.cat([batch.features[:, 0] for batch in batches]).tolist()

    whole = seen(1, range(3))
    assert sorted(whole) == [i for i in range(50) if i % 5]
    assert seen(1, range(1), range(1, 3)) == whole != seen(2, range(3))


def test_schedules_are_functions_of_the_step():
    weights = [schedule.kl_weight(step, 4) for step in range(6)]
    assert weights == [0, 0.25, 0.5, 0.75, 1, 1]
    assert schedule.kl_weight(0, 0) == 1
    heat = [schedule.temperature(step, 2, 1.0, 0.25) for step in range(4)]
    assert heat == pytest.approx([1, 0.5, 0.25, 0.25])


def test_the_last_checkpoint_is_kept_alone(tmp_path):
    keeper = store.FileKeeper(f"file://{tmp_path}/a b")
    assert keeper.load() is None and keeper.rounds() == []
    rounds = []
    for number in range(3):
        rounds.append(Round(number, MAIN, 10, 1.0, float("nan") if number else -2.0, 0.5))
        keeper.save(State({"model.x": torch.full((2,), float(number))}, rounds))
    (tmp_path / "a b" / "next").write_bytes(b"of a writer that was killed")
    again = store.FileKeeper(f"{tmp_path}/a b")
    state = again.load()
    assert state.tensors["model.x"].tolist() == [2.0, 2.0]
    assert [one.number for one in state.rounds] == [one.number for one in again.rounds()]
    assert len(list((tmp_path / "a b").glob("*.safetensors"))) == 1


def test_a_person_is_encoded_alike_beside_anybody():
    options = GmvaeOptions(**SMALL | {"hidden": (50, 70), "k": 7})
    model, shard, _ = ready(options)
    model = model.double()
    whole = alone(model, shard.features)
    order = np.random.default_rng(0).permutation(len(shard.features))
    for rows in (order, order[:300], order[5:6]):
        for everyone, some in zip(whole, alone(model, shard.features[rows]), strict=True):
            assert np.array_equal(everyone[rows], some)


def test_a_model_survives_being_stored():
    options = GmvaeOptions(**SMALL)
    model, shard, _ = ready(options)
    again = store.from_bytes(store.to_bytes(model), "here")
    features = torch.as_tensor(shard.features)
    for one, other in zip(clusters(model, features), clusters(again, features), strict=True):
        assert torch.equal(one, other)
    blob = store.to_bytes(model)
    for broken in (blob[:-100], blob[:7], b"", b"foreign" * 100):
        with pytest.raises(InputError, match="table gmvae: holds no GMVAE"):
            store.from_bytes(broken, "table gmvae")


@pytest.mark.parametrize(
    ("column", "value", "allowed"),
    [("visits", -1, "whole numbers from 0"), ("visits", 2.5, "whole numbers from 0"),
     ("trust", 5, "5 levels"), ("party", -1, "3 levels"), ("age", np.inf, "finite")],
)  # fmt: skip
def test_an_impossible_answer_names_its_column(column, value, allowed):
    features, inputs, _ = mixed_people(50, 0)
    position = [q.source_column for q in QUESTIONS].index(column)
    inputs[3, position] = value
    with pytest.raises(InputError, match=f"column '{column}'.*impossible") as caught:
        c.summarise(features, inputs, QUESTIONS)
    assert allowed in str(caught.value)


def test_shards_summaries_merge_to_the_wholes():
    features, inputs, _ = mixed_people(500, 3)
    whole = c.summarise(features, inputs, QUESTIONS)
    cuts = [slice(0, 120), slice(120, 120), slice(120, 500)]
    merged = c.merge([c.summarise(features[cut], inputs[cut], QUESTIONS) for cut in cuts])
    for name, value in whole._asdict().items():
        np.testing.assert_allclose(
            getattr(merged, name), value, rtol=1e-9, atol=1e-12, err_msg=name
        )


def test_every_question_weighs_by_what_it_can_tell():
    features, inputs, _ = mixed_people(5000, 0)
    summary = c.summarise(features, inputs, QUESTIONS)
    columns = {one.name: one for one in c.describe(summary, QUESTIONS, range(6))}
    weights = np.array([one.weight for one in columns.values()])
    assert weights.mean() == pytest.approx(1)
    # a fair choice of five tells more than one of two: it weighs less
    assert columns["trust"].weight < columns["member"].weight
    assert columns["party"].family == c.CATEGORICAL and columns["trust"].family == c.CUMULATIVE
    pixels = c.describe(summary, QUESTIONS[:1] * 1, range(6), c.GREY)
    assert [one.weight for one in pixels] == [1.0]
