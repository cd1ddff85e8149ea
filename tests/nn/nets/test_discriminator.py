import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import discriminator

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_least_side_leaves_one_logit_and_one_less_leaves_none(layers):
  net = discriminator.PatchGAN(layers, 4)
  side = net.least_side()
  shape = lambda n: (
    jax.eval_shape(
      net.init_with_output,
      jax.random.key(0),
      jnp.zeros((1, n, n, 3)),
    )[0].shape
  )
  assert shape(side) == (1, 1, 1, 1)
  assert 0 in shape(side - 1)


def test_three_layers_see_patches_of_70_pixels(monkeypatch, fill):
  # Statistics of a batch would see all of it.
  monkeypatch.setattr(discriminator, "BatchNorm", Unnormalised)
  net = discriminator.PatchGAN(3, 4)
  x = RNG.normal(size=(1, 128, 128, 3)).astype(np.float32)
  variables = fill(net, x)
  middle = lambda x: net.apply(variables, x)[0, 7, 7, 0]
  reached = np.abs(jax.grad(middle)(x)).sum((0, 3)) > 0
  for axis in (0, 1):
    (where,) = reached.any(axis).nonzero()
    assert where[-1] - where[0] + 1 == len(where) == 70
  assert net.least_side() == 24  # 70 pixels, of which 46 may be padding


class Unnormalised(nn.Module):
  """Stands where a norm does."""

  rt: runtime.Runtime = runtime.Runtime()

  def __call__(self, x):
    return x


def test_batch_norm_is_of_the_batch_at_hand(fill):
  norm = discriminator.BatchNorm()
  x = RNG.normal(3.0, 2.0, size=(4, 5, 5, 6)).astype(np.float32)
  variables = fill(norm, x)
  y = np.asarray(norm.apply(variables, x))
  p = variables["params"]
  np.testing.assert_allclose(y.mean((0, 1, 2)), p["bias"], atol=1e-5)
  np.testing.assert_allclose(y.std((0, 1, 2)), np.abs(p["scale"]), rtol=1e-4)
  np.testing.assert_allclose(norm.apply(variables, 5 * x - 2), y, atol=1e-4)


@pytest.mark.parametrize("name", discriminator.LOSSES)
def test_a_critic_is_pulled_apart(name):
  loss = discriminator.LOSSES[name]
  real, fake = jax.grad(loss, (0, 1))(jnp.zeros(4), jnp.zeros(4))
  assert (real < 0).all() and (fake > 0).all()
  np.testing.assert_allclose(real, -fake)


def test_a_critic_of_pixels_judges_each_and_names_what_is_normalised():
  """3 -> 64, to 512 and back, two more, one: nine of ten have no bias."""
  net = discriminator.UNetCritic()
  x = jnp.zeros((1, 16, 24, 3))
  made, variables = jax.eval_shape(
    lambda key: net.init_with_output(key, x), jax.random.key(0)
  )
  assert made.shape == (1, 16, 24, 1) and made.dtype == jnp.float32
  names = trees.named(variables["params"])
  chosen = [n for n in names if re.search(net.SPECTRAL, n)]
  assert len(chosen) == 8
  biases = [n for n in names if n.endswith("bias")]
  assert biases == ["first/bias", "last/bias"]
  total = sum(int(np.prod(x.shape)) for x in names.values())
  down = 16 * (64 * 128 + 128 * 256 + 256 * 512)
  up = 9 * (512 * 256 + 256 * 128 + 128 * 64) + 2 * 9 * 64 * 64
  assert total == 28 * 64 + down + up + 9 * 64 + 1


def test_skips_of_a_critic_of_pixels_are_added(fill):
  """With no way back up, what is judged is the first map alone."""
  net = discriminator.UNetCritic(4)
  x = RNG.normal(size=(1, 8, 8, 3)).astype(np.float32)
  params = fill(net, x)["params"]
  apply = jax.jit(lambda p: net.apply({"params": p}, x))
  cut = {"up0": jax.tree.map(np.zeros_like, params["up0"])}
  deeper = {"down1": jax.tree.map(np.zeros_like, params["down1"])}
  np.testing.assert_array_equal(
    apply(params | cut), apply(params | cut | deeper)
  )
  assert np.abs(apply(params) - apply(params | deeper)).max() > 1e-4


def test_the_hinge_stops_at_a_margin_of_1():
  real, fake = jnp.full(4, 1.5), jnp.full(4, -1.5)
  assert discriminator.hinge(real, fake) == 0
  np.testing.assert_allclose(discriminator.hinge(fake, real), 2.5)
