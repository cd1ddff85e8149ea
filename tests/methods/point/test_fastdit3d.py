import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.point import fastdit3d

B = 4
TINY = fastdit3d.FastDiT3D.tiny()


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(0)
  points = rng.normal(size=(B, TINY.points, 3)).astype(np.float32)
  return {"points": points, "label": np.arange(B) % 3}


@pytest.fixture(scope="module")
def draws(batch):
  return TINY.drawn(jax.random.key(5), batch)


@pytest.fixture(scope="module")
def params(fill, batch):
  return fill(TINY, batch, seed=2, scale=0.2)[0]


def run(method, params, batch, draws):
  fn = jax.jit(lambda p, d: method.loss(methods.Weights(p), batch, d, 0))
  return fn(params, draws)


def test_a_fresh_network_predicts_0_and_has_a_loss_of_1(batch, draws):
  fresh, _ = TINY.init(jax.random.key(0), batch)
  loss, aux = run(TINY, fresh, batch, draws)
  expected = np.mean(np.asarray(draws["noise"]) ** 2)
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
  assert 0.8 < loss < 1.2 and 0 < aux["seen"] < 1


def test_the_loss_is_the_error_of_the_noise_that_is_read(params, batch, draws):
  loss, aux = run(TINY, params, batch, draws)
  x_t, _, _ = TINY.noise.add(
    jnp.asarray(batch["points"]), draws["t"], draws["noise"]
  )
  label = TINY.labels.dropped(batch, draws)
  out = TINY.denoised(params, x_t, draws["t"], label, draws=draws)
  error = ((out["eps"] - draws["noise"]) ** 2).mean(-1)
  np.testing.assert_allclose(loss, error.mean(), rtol=1e-5)
  assert aux["balance"] > 0  # in the gradient, not in the loss
  seen = dataclasses.replace(TINY, loss_on="seen")
  loss, _ = run(seen, params, batch, draws)
  of = np.asarray(out["seen"])
  rows = (np.asarray(error) * of).sum(1) / np.maximum(of.sum(1), 1)
  np.testing.assert_allclose(loss, rows.mean(), rtol=1e-5)


def test_the_balance_is_in_the_gradient_only(params, batch, draws):
  def router(method):
    def loss(p):
      return method.loss(methods.Weights(p), batch, draws, 0)[0]

    value, grads = jax.jit(jax.value_and_grad(loss))(params)
    ffn = grads["main"]["blocks"]["layers"]["ffn"]
    return value, ffn["router"]["kernel"]

  none, some = (
    router(dataclasses.replace(TINY, balance=a)) for a in (0.0, 0.5)
  )
  assert none[0] == some[0]
  assert np.abs(none[1] - some[1]).max() > 1e-4


def test_with_nothing_hidden_it_is_what_samples(params, batch, draws):
  """r = 0: DiT-3D with a deeper stack, as in sampling."""
  whole = field.replace(TINY, masks=dict(occupied_share=0.0, empty_share=0.0))
  assert "scores" not in whole.drawn(jax.random.key(5), batch)
  bare = {k: v for k, v in draws.items() if k != "scores"}
  loss, aux = run(whole, params, batch, bare)
  x_t, _, _ = TINY.noise.add(
    jnp.asarray(batch["points"]), draws["t"], draws["noise"]
  )
  label = TINY.labels.dropped(batch, draws)
  eps = TINY.eps(params, x_t, draws["t"], label)
  np.testing.assert_allclose(
    loss, ((eps - draws["noise"]) ** 2).mean(), rtol=1e-5
  )
  assert aux["seen"] == 1
  assert abs(loss - run(TINY, params, batch, draws)[0]) > 1e-4


def test_a_cloud_of_the_same_points_in_another_order_is_the_same(
  params, batch, draws
):
  order = np.random.default_rng(1).permutation(TINY.points)
  moved = {**batch, "points": batch["points"][:, order]}
  noise = jnp.asarray(draws["noise"])[:, order]
  loss, _ = run(TINY, params, batch, draws)
  other, _ = run(TINY, params, moved, {**draws, "noise": noise})
  np.testing.assert_allclose(loss, other, rtol=1e-4)


def test_samples_are_a_function_of_their_number(params, batch):
  sample = jax.jit(
    lambda p, b, k: TINY.predict()["sample"](methods.Weights(p), b, k)
  )
  key, index = jax.random.key(1), np.arange(B, dtype=np.int32)
  label = np.zeros(B, np.int32)
  made = sample(params, {"index": index, "label": label}, key)
  other = sample(params, {"index": index[::-1], "label": label}, key)
  np.testing.assert_allclose(made, other[::-1], atol=1e-4)
  assert made.shape == (B, TINY.points, 3)
  assert np.abs(np.asarray(made[0] - made[1])).max() > 1e-3


def test_errors_are_of_fixed_times_with_nothing_hidden(params, batch):
  """`low` is of the first times alone; both see every patch."""
  out = jax.jit(
    lambda p: TINY.errors(methods.Weights(p), batch, jax.random.key(2))
  )(params)
  noise = TINY.drawn(jax.random.key(2), batch)["noise"]
  x, label = jnp.asarray(batch["points"]), jnp.asarray(batch["label"])
  rows = []
  for share in fastdit3d.TIMES:
    t = jnp.full(B, int(share * TINY.noise.times))
    x_t, _, _ = TINY.noise.add(x, t, noise)
    eps = TINY.eps(params, x_t, t, label)
    rows.append(np.asarray(((eps - noise) ** 2).mean((1, 2))))
  np.testing.assert_allclose(out["eps"], np.mean(rows, 0), rtol=1e-4)
  np.testing.assert_allclose(out["low"], np.mean(rows[:2], 0), rtol=1e-4)
