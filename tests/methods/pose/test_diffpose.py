import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.pose import diffpose

B = 4
TINY = diffpose.DiffPose.tiny()


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  return {
    "poses": (0.3 * rng.normal(size=(B, 12))).astype(np.float32),
    "heatmaps": rng.normal(size=(B, 4, 8, 8)).astype(np.float32),
    "index": np.arange(B, dtype=np.int32),
  }


@pytest.fixture(scope="module")
def params(fill, batch):
  return fill(TINY, batch, seed=2, scale=0.2)[0]


def run(method, params, batch, draws):
  fn = jax.jit(lambda p, d: method.loss(methods.Weights(p), batch, d, 0)[0])
  return fn(params, draws)


def measured(method, params, batch, key=1):
  fn = jax.jit(method.predict()["poses"])
  return jax.device_get(fn(methods.Weights(params), batch, jax.random.key(key)))


def test_the_loss_is_the_error_of_the_noise(params, batch):
  draws = TINY.drawn(jax.random.key(5), batch)
  kept = TINY.candidates.kept(draws)
  c = TINY.conditions(
    params, batch["heatmaps"], draws["cell"], kept=kept, keys=draws["dropout"]
  )
  a, s = (np.asarray(x)[:, None] for x in TINY.noise.process.at(draws["t"]))
  x_t = a * 10.0 * batch["poses"] + s * draws["noise"]
  eps = TINY.eps(params, c, x_t, draws["t"])
  expected = np.mean((np.asarray(eps) - draws["noise"]) ** 2)
  found = run(TINY, params, batch, draws)
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_what_is_dropped_and_drawn_moves_the_loss(params, batch):
  draws = TINY.drawn(jax.random.key(5), batch)
  first = run(TINY, params, batch, draws)
  changes = {
    "joint_drop": jnp.zeros((B, 4)),
    "cell": 1 - draws["cell"],
    "dropout": draws["dropout"] + 1,
  }
  for name, change in changes.items():
    other = run(TINY, params, batch, {**draws, name: change})
    assert abs(other - first) > 1e-5, name
  without = field.replace(
    TINY,
    candidates={"drop": 0.0, "count": 1},
    condition={"dropout": 0.0},
  )
  assert set(without.drawn(jax.random.key(5), batch)) == {"t", "noise"}


def test_times_are_those_of_the_card():
  """The signal's power at 0, 5, 12, 20 and 24 of 25."""
  power = diffpose.DiffPose().noise.process.power
  found = power[[0, 5, 12, 20]]
  np.testing.assert_allclose(found, [0.9946, 0.858, 0.463, 0.061], atol=6e-4)
  assert 3e-6 < power[24] < 5e-6


def test_hypotheses_belong_to_their_example(params, batch):
  found = measured(TINY, params, batch)
  other = measured(TINY, params, {k: x[::-1] for k, x in batch.items()})
  for name, x in found.items():
    np.testing.assert_allclose(x, other[name][::-1], atol=0.1, err_msg=name)
  assert found["hypotheses"].shape == (B, 2, 5, 3)
  one, two = np.moveaxis(found["hypotheses"], 1, 0)
  assert np.abs(one - two).max() > 1  # millimetres
  assert (found["hypotheses"][..., 0, :] == 0).all()
  target = TINY.body.points(jnp.asarray(batch["poses"]))
  np.testing.assert_allclose(found["target"], target, atol=1e-3)


def test_peaks_leave_only_the_noise_of_diffusion(params, batch):
  """Every candidate is the peak: all hypotheses are told the same."""
  heat = np.zeros_like(batch["heatmaps"])
  heat[:, :, 3, 5] = 0.8
  cells = TINY.candidates.sets(jax.random.key(0), np.arange(B), (2, 4))
  one, two = np.moveaxis(TINY.told(params, heat, cells), 1, 0)
  np.testing.assert_array_equal(one, two)
  one, two = np.moveaxis(TINY.told(params, batch["heatmaps"], cells), 1, 0)
  assert np.abs(one - two).max() > 1e-3
  found = measured(TINY, params, {**batch, "heatmaps": heat})
  one, two = np.moveaxis(found["hypotheses"], 1, 0)
  assert np.abs(one - two).max() > 1


def test_the_mean_estimate_does_not_depend_on_how_many_there_are(params, batch):
  more = field.replace(TINY, sampling={"count": 3})
  few, many = (measured(m, params, batch) for m in (TINY, more))
  np.testing.assert_allclose(few["mean"], many["mean"], atol=0.05)
  assert many["hypotheses"].shape[1] == 3


def test_maps_are_told_of_joint_by_joint(params, batch):
  moved = field.replace(TINY, body={"order": (1, 0, -1, 3)})
  plain, other = (measured(m, params, batch) for m in (TINY, moved))
  assert (plain["spread"][:, 0] == -1).all() and (plain["spread"] > 0).any()
  order = [0, 2, 1, 3, 4]
  expected = plain["spread"][:, order]
  expected[:, 3] = -1
  np.testing.assert_allclose(other["spread"], expected, rtol=1e-5)
  np.testing.assert_allclose(other["places"][:, 1], plain["places"][:, 2])
  flat = batch["heatmaps"][:, 0].reshape(B, -1).argmax(-1)
  np.testing.assert_allclose(plain["places"][:, 1, 0], flat % 8)
  np.testing.assert_allclose(plain["places"][:, 1, 1], flat // 8)
  np.testing.assert_allclose(plain["map"], batch["heatmaps"].max(1))


def test_modes_are_drawn_where_they_are_read(params, batch):
  drawn = field.replace(TINY, heatmaps={"modes": 2, "sigma": 1.0})
  assert set(drawn.inputs()) == {"poses", "modes"}
  rng = np.random.default_rng(3)
  modes = rng.uniform(0, 8, (B, 4, 2, 3)).astype(np.float32)
  heat = drawn.heatmaps.of({"modes": modes})
  draws = TINY.drawn(jax.random.key(5), batch)
  stored = run(TINY, params, {**batch, "heatmaps": heat}, draws)
  made = run(drawn, params, {**batch, "modes": modes}, draws)
  np.testing.assert_allclose(made, stored, rtol=1e-6)


@pytest.mark.parametrize(
  "changes, words",
  [
    ({"condition": {"heads": 3}}, "condition.channels 4"),
    ({"noise": {"learn_variance": True}}, "learn_variance"),
    ({"sampling": {"steps": 7}}, "7"),
    ({"heatmaps": {"joints": 5}}, "heatmaps.joints 5.*body.order"),
  ],
)
def test_fields_that_do_not_go_together(changes, words):
  with pytest.raises(ValueError, match=words):
    field.replace(TINY, **changes).inputs()


def test_the_published_sizes():
  """About 11 M parameters; 128 numbers of a condition per joint."""
  method = diffpose.DiffPose()
  shapes, _ = jax.eval_shape(method.init, jax.random.key(0), None)
  leaves = jax.tree.leaves(shapes)
  assert 10.5e6 < sum(x.size for x in leaves) < 12e6
  embed = shapes["main"]["denoiser"]["embed"]["kernel"]
  assert embed.shape == (48 + 1 + 2048, 1024)
  assert dataclasses.asdict(method.candidates) == {"count": 32, "drop": 0.1}
