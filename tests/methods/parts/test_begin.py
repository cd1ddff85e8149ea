"""Where two branches begin, and the noises of a real picture."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import randomness
from jmim.methods.parts import begin

TOY = toydiffusion.make(classes=0)
STEPS = 6
RNG = np.random.default_rng(0)
IMAGE = jnp.asarray(RNG.uniform(-1, 1, (2, *TOY.image)).astype(np.float32))


def drawn(one):
  each = lambda i: one.draw(randomness.Keys(jax.random.key(i)), TOY)
  return jax.vmap(each)(jnp.arange(2))


def first_level():
  return TOY.levels(STEPS)


def test_pictures_that_are_made_begin_alike_unless_told_otherwise():
  one, fresh = begin.Begin(), begin.Begin(fresh=True)
  draws = drawn(one)
  assert set(draws) == {"start"}
  states = one.states(TOY, {}, draws, STEPS)
  assert states("anything", 3, 0.1, 0.2) == "anything"
  x = one.pair(states, draws, first_level())
  np.testing.assert_array_equal(x[:2], x[2:])
  draws = drawn(fresh)
  x = fresh.pair(states, draws, first_level())
  np.testing.assert_array_equal(x[:2], draws["start"])
  assert np.abs(x[:2] - x[2:]).min() > 0


@pytest.mark.parametrize("buckets", [1, 3, STEPS])
def test_a_real_picture_has_as_many_noises_as_buckets(buckets):
  one = begin.Begin(real=True, buckets=buckets)
  draws = drawn(one)
  assert draws["bucket"].shape == (2, buckets, *TOY.shape)
  z = TOY.encode(IMAGE, draws["posterior"])
  states = jax.jit(
    lambda call: one.states(TOY, {"image": IMAGE}, draws, STEPS)(
      None, call, 0.6, 0.8
    )
  )
  noises = [(states(i) - 0.6 * z) / 0.8 for i in range(STEPS)]
  for i, noise in enumerate(noises):
    wanted = draws["bucket"][:, i * buckets // STEPS]
    np.testing.assert_allclose(noise, wanted, atol=1e-5)
  apart = {tuple(np.round(np.ravel(n)[:4], 3)) for n in np.array(noises)}
  assert len(apart) == buckets
  # Behind the last call there is no other noise.
  np.testing.assert_array_equal(states(STEPS), states(STEPS - 1))


def test_a_real_pictures_target_begins_with_noise_of_its_own():
  one = begin.Begin(real=True, buckets=2)
  draws, levels = drawn(one), first_level()
  states = one.states(TOY, {"image": IMAGE}, draws, STEPS)
  x = one.pair(states, draws, levels)
  np.testing.assert_array_equal(x[2:], draws["target"])
  z = TOY.encode(IMAGE, draws["posterior"])
  noise = draws["bucket"][:, 0]
  wanted = levels.signal[0] * z + levels.noise[0] * noise
  np.testing.assert_allclose(x[:2], wanted, atol=1e-5)


def test_what_does_not_go_together_is_named():
  with pytest.raises(ValueError, match="buckets=5 of 4 steps"):
    begin.Begin(real=True).check(4)
  begin.Begin().check(4)
  with pytest.raises(ValueError, match=r"begin\.fresh with begin\.real"):
    begin.Begin(real=True, fresh=True).check(50)
