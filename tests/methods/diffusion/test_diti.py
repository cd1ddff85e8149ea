"""What DiTi promises: prefixes, PDAE, and a host that is never touched."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.diffusion import diti

B = 4
TINY = diti.DiTi.tiny()
PDAE = field.replace(TINY, blocks=dict(blocks=1), sampling=dict(masked=False))


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": np.clip(0.5 * normal(B, 8, 8, 3), -1, 1)}


@pytest.fixture(scope="module")
def draws(batch):
  t = np.array([1, 6, 13, 19])  # at 0 the factor of the branch is 0
  return TINY.drawn(jax.random.key(5), batch) | {"t": t}


@pytest.fixture(scope="module")
def weights(fill, batch):
  """Parameters without zeros, so that the branch says something."""
  params, _ = fill(TINY, batch, scale=0.2)
  host = fill(TINY.consts()["host"], seed=1, scale=0.2)
  return methods.Weights(params, {}, {"host": host})


@pytest.fixture(scope="module")
def z(weights, batch):
  return TINY.features(weights, batch, None)


def value_and_grad(m, weights, batch, *, z, draws):
  """(loss, gradient of the code)."""

  def loss(z):
    return m.error(weights, batch["image"], z=z, draws=draws)[0].mean()

  return jax.jit(jax.value_and_grad(loss))(z)


def test_the_code_beyond_a_prefix_has_no_gradient(weights, batch, z, draws):
  found = {
    mode: value_and_grad(
      dataclasses.replace(TINY, mode=mode), weights, batch, z=z, draws=draws
    )
    for mode in ("base", "stop_grad", "dual")
  }
  ends = TINY.blocks.ends(20)[TINY.blocks.index(20)[draws["t"]]]
  inside = np.arange(12) < ends[:, None]
  grad = {mode: np.asarray(g) for mode, (_, g) in found.items()}
  assert (grad["base"][~inside] == 0).all()
  assert (grad["base"][inside] != 0).all()
  begin = np.concatenate([[0], TINY.blocks.ends(20)])
  begin = begin[TINY.blocks.index(20)[draws["t"]]]
  newest = inside & (np.arange(12) >= begin[:, None])
  assert (grad["stop_grad"][~newest] == 0).all()
  np.testing.assert_allclose(
    grad["stop_grad"][newest], grad["base"][newest], rtol=1e-4
  )
  # The modes differ in gradients alone, and dual is both.
  assert found["base"][0] == found["stop_grad"][0]
  np.testing.assert_allclose(found["dual"][0], 2 * found["base"][0], rtol=1e-6)
  np.testing.assert_allclose(
    grad["dual"], grad["base"] + grad["stop_grad"], rtol=1e-4, atol=1e-8
  )


def test_one_block_is_pdae(weights, batch, z, draws):
  """The whole code at every time, written without any block."""
  x, t, eps = batch["image"], draws["t"], draws["noise"]
  power = np.cumprod(1 - np.linspace(1e-3, 0.5, 20))
  a, s = (np.sqrt(p)[t][:, None, None, None] for p in (power, 1 - power))
  x_t = jnp.float32(a * x + s * eps)
  e, taps = jax.jit(PDAE.nets.frozen)(weights.consts["host"], x_t, t)
  g = jax.jit(PDAE.nets.correction)(weights.params["main"], taps, z)
  before = np.append(1.0, power[:-1])
  c = -np.sqrt(power / before) * (1 - before) / np.sqrt(1 - power)
  snr = power / (1 - power)
  error = eps - e - c[t][:, None, None, None] * g
  w = (snr**0.1 / (1 + snr))[t][:, None, None, None]
  expected = (w * np.asarray(error) ** 2).mean()
  for mode in ("base", "stop_grad"):
    m = dataclasses.replace(PDAE, mode=mode)
    loss, grad = value_and_grad(m, weights, batch, z=z, draws=draws)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    assert (np.asarray(grad) != 0).all()


def test_at_the_start_it_is_the_host(weights, batch, draws):
  fresh, _ = jax.jit(TINY.init)(jax.random.key(3), batch)
  weights = dataclasses.replace(weights, params=fresh)
  _, aux = jax.jit(lambda w: TINY.loss(w, batch, draws, 0))(weights)
  np.testing.assert_array_equal(aux["loss_unweighted"], aux["loss_frozen"])
  errors = jax.jit(TINY.errors)(weights, batch, jax.random.key(0))
  np.testing.assert_array_equal(errors["eps"], errors["frozen"])
  # Its samples are the host's, whatever the code.
  walks = TINY.walks(weights)
  noise = walks.start(jax.random.key(0), batch)
  code = walks.encode(batch["image"])
  np.testing.assert_array_equal(
    walks.walk(noise, code), walks.walk(noise, code + 1)
  )


def test_what_is_trained_is_none_of_the_host(weights, batch):
  """No leaf of the host is in params; a shape of it is all that is needed."""
  own = jax.eval_shape(lambda k: TINY.init(k, batch), jax.random.key(0))
  assert set(own[0]["main"]) == {"encoder", "branch"} and own[1] == {}
  count = lambda tree: sum(x.size for x in jax.tree.leaves(tree))
  published = jax.eval_shape(
    lambda k: diti.DiTi().init(k, {}), jax.random.key(0)
  )
  assert count(published[0]["main"]["encoder"]) == 1_487_104


def test_samples_follow_their_number_and_read_the_image(weights, batch):
  walks = TINY.walks(weights)
  sample = jax.jit(lambda b: walks.sample(b, jax.random.key(2)))
  whole = sample(batch)
  part = {"image": batch["image"][2:], "index": np.array([2, 3])}
  np.testing.assert_allclose(sample(part), whole[2:], atol=1e-5)
  other = sample({"image": batch["image"][::-1]})
  assert np.abs(other - whole).max() > 1e-4


def test_a_counterfactual_begins_at_the_image_and_ends_at_the_other(
  weights, batch
):
  walks, x = TINY.walks(weights), batch["image"][:2]
  other = batch["image"][2:]
  go = jax.jit(lambda share: walks.counterfactual(x, other, share))
  back = jax.jit(lambda x: walks.restore({"image": x}, None)["image"])
  np.testing.assert_allclose(go(0.0), back(x), atol=1e-4)
  np.testing.assert_allclose(go(1.0), back(other), atol=1e-4)
  # Of some blocks alone, with the noise kept, both codes are in it.
  part = walks.counterfactual(x, other, 1.0, first=2, move_noise=False)
  assert np.abs(part - back(x)).max() > 1e-4


def test_a_manipulation_of_no_strength_is_the_image(weights, batch, normal):
  walks, x = TINY.walks(weights), batch["image"][:2]
  go = lambda strength: walks.manipulated(
    x, normal(12), jnp.ones(12), strength=strength
  )
  same = walks.restore({"image": x}, None)["image"]
  np.testing.assert_allclose(go(0.0), same, atol=1e-5)
  assert np.abs(go(1.0) - same).max() > 1e-4


def test_dropout_is_drawn_where_there_is_one(batch):
  assert "dropout" not in TINY.drawn(jax.random.key(0), batch)
  some = field.replace(TINY, dims=dict(dropout=0.1))
  assert some.drawn(jax.random.key(0), batch)["dropout"].shape == ()


@pytest.mark.parametrize(
  "changes, seen",
  [
    (dict(size=9), "does not divide by 2"),
    (dict(encoder=dict(widths=(8, 8, 8, 8))), "halved 4 times"),
    (dict(blocks=dict(blocks=21)), "blocks.blocks=21"),
    (dict(sampling=dict(steps=21)), "sampling.steps=21"),
    (dict(noise=dict(zero_snr=True)), "pure noise"),
  ],
)
def test_what_cannot_be_is_refused(changes, seen):
  with pytest.raises(ValueError, match=seen):
    field.replace(TINY, **changes).inputs()


def test_a_host_of_another_process_is_refused():
  agrees = TINY.consts()["host"].agrees
  assert agrees["noise.times"] == ("method.noise.times", 20)
  assert agrees["prediction"][1] == "eps"


def test_a_host_of_another_network_is_refused():
  """Labels add leaves, and no shape tells of heads or the norms' groups."""
  const = TINY.consts()["host"]
  assert const.whole
  assert set(const.exact) == {
    f"dims.{name}"
    for name in (
      "heads",
      "level_heads",
      "head_width",
      "up_heads",
      "norm_groups",
      "norm_eps",
      "late_pad",
      "time_order",
      "time_inclusive",
    )
  }
  assert const.agrees["dims.up_heads"] == ("method.dims.up_heads", 0)
  assert const.agrees["dims.norm_groups"] == ("method.dims.norm_groups", 4)
