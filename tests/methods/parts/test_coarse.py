import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.parts import coarse
from jmim.nn.nets import block_vae

DIMS = block_vae.Dims(
  encoder="4d4,4t1,1",
  encoder_widths="4:4,1:6",
  decoder="1,1u4,1t4,4",
  decoder_widths="4:4,1:6",
)
ONE = coarse.Coarse(dims=DIMS, path="W", channels=1)
TWO = dataclasses.replace(ONE, form=2, code=True, drop=0.3)


@pytest.fixture(scope="module")
def weights():
  const = ONE.consts()["vae"]
  return methods.Weights(
    {}, consts={"vae": jax.jit(const.init)(jax.random.key(0))}
  )


@pytest.fixture(scope="module")
def x(normal):
  return np.tanh(normal(2, 4, 4, 1))


def draws(part, coin=None):
  found = part.draw(randomness.Keys(jax.random.key(1)), (2, 4, 4, 1))
  return found | ({} if coin is None else {"condition_drop": coin})


def test_the_vae_sees_0_to_1_and_the_condition_is_minus_1_to_1(weights, x):
  noise = draws(ONE)["posterior"]
  net, params = ONE.net, weights.consts["vae"]
  moments = net.moments(params, (x + 1) / 2)
  mean, v = np.split(np.asarray(moments)[:, 0, 0], 2, -1)
  z = ONE.encode(weights, x, noise)
  wanted = mean + np.exp(v / 2) * np.asarray(noise)[:, 0, 0]
  np.testing.assert_allclose(z, wanted, rtol=1e-5)
  c = ONE.decode(weights, z)
  np.testing.assert_allclose(c, 2 * net.decode(params, z) - 1, atol=1e-6)


def test_what_is_shown_by_form_and_option(weights, x):
  z = ONE.encode(weights, x, draws(ONE)["posterior"])
  shown, none = ONE.guiding(weights, z)
  assert set(shown) == {"image"} and not np.any(none["image"])
  np.testing.assert_array_equal(ONE.state(x, shown), x)
  shown, none = TWO.guiding(weights, z)
  np.testing.assert_array_equal(shown["image"], shown["shift"])
  np.testing.assert_array_equal(shown["code"], z)
  np.testing.assert_allclose(TWO.state(x, shown), x + shown["image"])
  # The network's null branch gets zeros, and still the state around c.
  assert not np.any(none["image"]) and not np.any(none["code"])
  np.testing.assert_array_equal(none["shift"], shown["shift"])


def test_one_coin_drops_all_of_the_condition_and_the_shift(weights, x):
  training = jax.jit(lambda d: TWO.in_training(weights, x, d))
  dropped, kept = training(draws(TWO, 0.29)), training(draws(TWO, 0.3))
  assert set(dropped) == set(kept) == {"image", "code", "shift"}
  assert not any(np.any(a) for a in dropped.values())
  assert all(np.abs(a).min() > 0 for a in kept.values())
  assert draws(TWO)["condition_drop"].shape == ()
  assert "condition_drop" not in draws(ONE)


def test_the_vae_gets_no_gradient(weights, x):
  def total(consts):
    held = methods.Weights({}, consts=consts)
    shown = TWO.in_training(held, x, draws(TWO, 0.9))
    return sum(a.sum() for a in jax.tree.leaves(shown))

  grads = jax.jit(jax.grad(total))(weights.consts)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


def test_fields_that_do_not_go_together_are_named():
  with pytest.raises(ValueError, match="guidance=2.0 with coarse.drop=0"):
    ONE.check(4, 2.0)
  with pytest.raises(ValueError, match="coarse.dims.encoder goes from side 4"):
    ONE.check(8, 1.0)
  TWO.check(4, 2.0)


def test_a_vae_on_other_images_is_refused():
  """A run says how its images are normalised."""
  agrees = ONE.consts()["vae"].agrees
  assert agrees["data.mean"][1] == (0.0,) and agrees["data.std"][1] == (1.0,)
