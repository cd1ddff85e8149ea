"""What is known stays clean, in training and on the way down."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import clean_region
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided

RNG = np.random.default_rng(0)
KNOWN, START = RNG.normal(size=(2, 2, 4, 4, 3)).astype(np.float32)
KEEP = np.zeros((2, 4, 4, 1), np.float32)
KEEP[:, :2] = 1
NOISE = gaussian.Gaussian(times=20, beta_start=1e-3, beta_end=0.3)
CLEAN = clean_region.CleanRegion()


def test_known_pixels_are_those_of_the_data_to_the_bit():
  mixed = np.asarray(CLEAN.mixed(KEEP, KNOWN, START))
  np.testing.assert_array_equal(mixed[:, :2], KNOWN[:, :2])
  np.testing.assert_array_equal(mixed[:, 2:], START[:, 2:])


def test_errors_are_of_the_hole_over_all_numbers():
  pred, noise = KNOWN, START
  found = CLEAN.errors(KEEP, pred, noise)
  want = ((pred - noise)[:, 2:] ** 2).sum((1, 2, 3)) / 48
  np.testing.assert_allclose(found, want, rtol=1e-5)
  moved = pred + 5 * KEEP
  np.testing.assert_array_equal(CLEAN.errors(KEEP, moved, noise), found)
  assert not np.asarray(CLEAN.errors(np.ones_like(KEEP), pred, noise)).any()


def walked(clean, sampler="ddim", eta=0.0):
  seen = []

  def network(x, t):
    jax.debug.callback(lambda x: seen.append(np.asarray(x)), x, ordered=True)
    return 0.3 * jnp.tanh(x) + 0.01 * t[:, None, None, None]

  sampling = guided.Guided(sampler=sampler, steps=4, eta=eta, clip=0.0)
  draw = lambda call: jnp.full(KNOWN.shape, 0.1) * call
  image, states = clean.walk(
    NOISE,
    sampling,
    network=network,
    keep=KEEP,
    known=jnp.asarray(KNOWN),
    start=jnp.asarray(START),
    normal=draw,
  )
  jax.effects_barrier()
  return np.asarray(image), np.asarray(states), seen


@pytest.mark.parametrize("sampler, eta", [("ddim", 0.0), ("ddpm", 0.0)])
def test_the_network_sees_known_pixels_before_every_step(sampler, eta):
  image, states, seen = walked(CLEAN, sampler, eta)
  assert len(seen) == 4 and states.shape == (4, *KNOWN.shape)
  for x in seen:
    np.testing.assert_array_equal(x[:, :2], KNOWN[:, :2])
  # After a step and before the next paste they are the network's.
  assert all(np.abs(x - KNOWN)[:, :2].max() > 1e-3 for x in states[:-1])
  np.testing.assert_array_equal(image[:, :2], KNOWN[:, :2])
  np.testing.assert_array_equal(image[:, 2:], states[-1][:, 2:])


def test_the_last_paste_is_an_option():
  plain = clean_region.CleanRegion(paste_last=False)
  image, states, _ = walked(plain)
  np.testing.assert_array_equal(image, states[-1])
  assert np.abs(image - KNOWN)[:, :2].max() > 1e-3


def test_there_is_nothing_to_guide_by():
  with pytest.raises(ValueError, match="sampling.guidance=2"):
    CLEAN.check(field.replace(guided.Guided(), guidance=2.0))
  CLEAN.check(guided.Guided())
