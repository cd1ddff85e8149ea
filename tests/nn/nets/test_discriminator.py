import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
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


def test_the_hinge_stops_at_a_margin_of_1():
  real, fake = jnp.full(4, 1.5), jnp.full(4, -1.5)
  assert discriminator.hinge(real, fake) == 0
  np.testing.assert_allclose(discriminator.hinge(fake, real), 2.5)
