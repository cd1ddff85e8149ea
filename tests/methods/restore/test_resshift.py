import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.restore import resshift

TINY = resshift.ResShift.tiny()
B = 2


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": jnp.asarray(np.tanh(normal(B, 8, 8, 3)))}


@pytest.fixture(scope="module")
def shapes(batch):
  return jax.eval_shape(TINY.init, jax.random.key(0), batch)[0]


class Toy(resshift.ResShift):
  """Its network is one product."""

  def network(self, params, x, t, low):
    del low
    return params * jnp.tanh(x) + 0.1 * t[:, None, None, None]


TOY = Toy(**{f.name: getattr(TINY, f.name) for f in dataclasses.fields(TINY)})
WEIGHTS = methods.Weights({"main": jnp.float32(0.7)})


def test_the_loss_is_the_error_of_the_data(batch):
  """All written out: what is shown, the state, the mean of squares."""
  draws = TOY.drawn(jax.random.key(1), batch)
  loss, _ = jax.jit(lambda b, d: TOY.loss(WEIGHTS, b, d, 0))(batch, draws)
  z, y, low = TOY.space.seen(WEIGHTS, batch, draws)
  assert low.shape == (B, 4, 4, 3) and y.shape == z.shape
  t = np.asarray(draws["t"])
  eta = TOY.noise.process.eta[t][:, None, None, None]
  x_t = z + eta * (y - z) + np.sqrt(eta) * draws["noise"]  # kappa 1
  made = 0.7 * np.tanh(x_t) + 0.1 * t[:, None, None, None]
  np.testing.assert_allclose(loss, ((made - z) ** 2).mean(), rtol=1e-4)
  errors = TOY.errors(WEIGHTS, batch, jax.random.key(1))
  np.testing.assert_allclose(errors["x0"].mean(), loss, rtol=1e-5)


def test_what_is_restored_is_the_walk_from_its_input(batch):
  found = jax.jit(lambda b: TOY.restore(WEIGHTS, b, jax.random.key(2)))(batch)
  np.testing.assert_array_equal(found["target"], batch["image"])
  # The last step, at time 0, is the prediction of the network itself.
  assert np.abs(found["image"]).max() <= 0.7
  again = TOY.restore(WEIGHTS, batch, jax.random.key(2))
  np.testing.assert_allclose(found["image"], again["image"], atol=1e-6)
  other = TOY.restore(WEIGHTS, batch, jax.random.key(3))
  assert np.abs(found["image"] - other["image"]).max() > 1e-3
  np.testing.assert_allclose(found["input"], other["input"], atol=1e-6)


def test_swin_layers_are_where_there_would_be_attention(shapes):
  net = shapes["main"]["net"]
  found = {n for n in net if n.endswith("_attention")}
  assert found == {"down0_0_attention", "middle_attention", "up0_0_attention"}
  assert net["conv_in"]["kernel"].shape == (3, 3, 6, 8)  # state and input
  assert net["down0_0"]["time"]["kernel"].shape == (32, 16)  # scale and shift


def test_weights_are_those_of_larger_images_in_tiles(shapes, batch):
  large = field.replace(
    TINY, size=24, swin=dict(trained=8), tiles=dict(side=8, stride=8)
  )
  large.inputs()
  init = lambda key: large.init(key, batch)[0]
  assert jax.eval_shape(init, jax.random.key(0)) == shapes
  images = {"image": jnp.zeros((1, 24, 24, 3))}
  held = methods.Weights(shapes)
  made = jax.eval_shape(large.restore, held, images, jax.random.key(0))
  assert made["image"].shape == (1, 24, 24, 3)


@pytest.mark.parametrize(
  "changes, word",
  [
    (dict(dims=dict(dropout=0.1)), "dims.dropout=0.1"),
    (dict(sampling=dict(steps=9)), "sampling.steps=9"),
    (dict(swin=dict(window=3)), "swin.window=3"),
    (dict(noise=dict(least=0.9, end=0.01)), "noise.least"),
    (dict(degraded=dict(factor=3)), "degraded.factor=3"),
    (dict(tiles=dict(stride=999)), "tiles.stride=999"),
    (dict(channels=4, first_stage=dict(variant="vq-f4")), "latents have 3"),
  ],
)
def test_what_does_not_fit_is_named(changes, word):
  with pytest.raises(ValueError, match=word):
    field.replace(TINY, **changes).inputs()
