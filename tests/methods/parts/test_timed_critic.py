import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import timed_critic
from jmim.nn import spectral
from jmim.nn import unet as layers
from jmim.nn.nets import unet

DIMS = unet.Dims(width=4, multipliers=(1, 2), blocks=1, norm_groups=2)
CRITIC = timed_critic.TimedCritic(weight=0.1, taps=(0, 2), out=3)
SIDES = ((4, 4), (2, 4), (2, 8))  # of what the heads read


@pytest.fixture(scope="module")
def taps(normal):
  """Maps 0 to 3 on the way down, and the middle's."""
  skips = [normal(2, 4, 4, 4), None, normal(2, 2, 2, 4, seed=1), None]
  middle = normal(2, 2, 2, 8, seed=2)
  return layers.Taps(
    emb=None, skips=tuple(skips), middle=middle, attention={}, bank={}
  )


def test_it_reads_the_maps_it_is_told_and_the_middle(taps):
  shapes = [x.shape for x in CRITIC.picked(taps)]
  assert shapes == [(2, side, side, width) for side, width in SIDES]


def test_logits_are_those_of_normed_heads_channels_first(taps, fill):
  params, norms = jax.jit(lambda k: CRITIC.init(k, DIMS, taps))(
    jax.random.key(0)
  )
  assert set(norms["head0"]) == {"first", "inner", "out"}
  heads, t = CRITIC.heads(DIMS), np.array([0, 2])
  params = fill(heads, CRITIC.picked(taps), t)["params"]
  asked = []

  def inside(x, t):
    asked.append((x, t))
    return taps

  noised = [jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 3))]
  first, second = CRITIC.logits(
    params, norms, DIMS, inside=inside, noised=noised, t=np.array([2])
  )
  ((x, times),) = asked
  assert (x[1] == 1).all() and list(times) == [2, 2]
  normed = spectral.normalise(params, norms)
  made = heads.apply({"params": normed}, CRITIC.picked(taps), np.array([2, 2]))
  expected = np.concatenate(
    [np.moveaxis(a, 1, 2).reshape(2, -1) for a in made], axis=1
  )
  assert expected.shape == (2, 3 * (16 + 4 + 4))
  found = np.concatenate([first, second])
  np.testing.assert_allclose(found, expected, atol=1e-5)


def test_losses_are_those_of_the_paper(normal):
  real, fake = normal(3, 5), normal(3, 5, seed=1)
  expected = np.maximum(1 - real, 0).mean(1) + np.maximum(1 + fake, 0).mean(1)
  np.testing.assert_allclose(CRITIC.hinge(real, fake), expected, rtol=1e-5)
  np.testing.assert_allclose(
    CRITIC.generator(fake), -0.1 * fake.mean(1), rtol=1e-5
  )


def test_draws_leave_out_the_last_time():
  keys = randomness.Keys(jax.random.key(0))
  drawn = CRITIC.draw(keys, (64, 2, 2, 1), 4)
  assert set(np.unique(drawn["disc_t"])) == {0, 1, 2}


def test_what_does_not_fit_is_named():
  with pytest.raises(ValueError, match=r"critic.taps=\(0, 4\): of 0 .. 3"):
    timed_critic.TimedCritic(taps=(0, 4)).check(DIMS)
  odd = unet.Dims(width=6, multipliers=(1, 2), blocks=1, norm_groups=2)
  with pytest.raises(ValueError, match=r"dims.width=6: widths \[6, 12\]"):
    timed_critic.TimedCritic(taps=()).check(odd)
  with pytest.raises(ValueError, match="critic.waves=5"):
    timed_critic.TimedCritic(taps=(), waves=5).check(DIMS)
