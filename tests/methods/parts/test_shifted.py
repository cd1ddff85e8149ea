"""Both paths, what they are told of a code, and the factors of training."""

import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import gaussian
from jmim.methods.parts import shifted
from jmim.methods.parts import time_blocks

NOISE = gaussian.Gaussian(times=20, beta_start=1e-3, beta_end=0.3)
PROCESS = NOISE.process
BLOCKS = time_blocks.TimeBlocks(width=4, blocks=4, stages=(), stage_widths=())
Z = jnp.ones((2, 4))


def test_factors_are_those_of_their_definition():
  shift, weight = shifted.coefficients(PROCESS)
  assert shift[0] == 0 and (shift[1:] < 0).all()
  t, power = 7, PROCESS.power
  expected = -np.sqrt(1 - PROCESS.beta[t]) * (1 - power[t - 1])
  np.testing.assert_allclose(shift[t], expected / np.sqrt(1 - power[t]))
  snr = power / (1 - power)
  np.testing.assert_allclose(weight, snr**0.1 / (1 + snr))
  # Sampling takes -s_t: the factors come together where t is large.
  ratio = shift / -PROCESS.noise
  assert ratio[1] < 0.8 and ratio[-1] > 0.8
  at, _ = shifted.factors(PROCESS, jnp.asarray([7, 0]), 4)
  assert at.shape == (2, 1, 1, 1)
  np.testing.assert_allclose(at[:, 0, 0, 0], shift[[7, 0]], rtol=1e-6)


def test_paths_are_those_of_their_authors():
  guided = shifted.Shifted(steps=5, inversion=5)
  down, up = guided.levels(PROCESS), guided.levels(PROCESS, inverse=True)
  assert list(down.time[:-1]) == [16, 12, 8, 4, 0]
  assert (down.signal[-1], down.noise[-1]) == (1, 0)
  assert list(up.time[:-1]) == [0, 4, 8, 12, 16]
  assert (up.signal[-1], up.noise[-1]) == (0, 1)  # pure noise
  spaced = shifted.Shifted(path="spaced", steps=5, inversion=5)
  down, up = spaced.levels(PROCESS), spaced.levels(PROCESS, inverse=True)
  assert list(down.time) == [19, 15, 11, 7, 3, 0]
  assert down.signal[-1] == PROCESS.signal[0]  # never clean
  np.testing.assert_array_equal(up.signal, down.signal[::-1])


def oracle(x0):
  """Knows the data, and so the noise of any state."""

  def network(x, t, code):
    a, s = PROCESS.at(t.astype(int)[:, None, None, None])
    return (x - a * x0) / s, jnp.zeros_like(x)

  return network


@pytest.mark.parametrize("path", ["guided", "spaced"])
def test_with_the_true_noise_any_state_leads_to_the_data(path, normal):
  x0 = np.clip(normal(2, 4, 4, 1), -1, 1)
  part = shifted.Shifted(path=path, steps=4, inversion=4)
  options = dict(network=oracle(x0), noise=NOISE, blocks=BLOCKS)
  found = part.walk(normal(2, 4, 4, 1, seed=1), Z, **options)
  if path == "guided":
    np.testing.assert_allclose(found, x0, atol=1e-5)
  else:  # what is left is the noise of the first time
    assert np.abs(found - x0).max() < 0.2


def test_a_path_up_is_undone_by_the_path_down(normal):
  """A network that knows the noise of each image: DDIM is exact both ways."""
  x0 = np.clip(0.3 * normal(2, 4, 4, 1), -1, 1)
  eps = normal(2, 4, 4, 1, seed=1)

  def network(x, t, code):
    return jnp.broadcast_to(eps, x.shape), jnp.zeros_like(x)

  part = shifted.Shifted(path="spaced", steps=6, inversion=6, clip=0.0)
  options = dict(network=network, noise=NOISE, blocks=BLOCKS)
  up = part.walk(x0, Z, inverse=True, **options)
  assert np.abs(up - x0).max() > 0.5
  np.testing.assert_allclose(part.walk(up, Z, **options), x0, atol=1e-4)


def ends(**fields):
  """Where a walk from 0 ends whose shift is the sum of the code it is told."""
  part = shifted.Shifted(steps=4, inversion=4, clip=0.0, **fields)

  def network(x, t, code):
    return jnp.zeros_like(x), x * 0 + code.sum(-1)[:, None, None, None]

  start = jnp.zeros((2, 1, 1, 1))
  options = dict(network=network, noise=NOISE, blocks=BLOCKS)
  return np.abs(part.walk(start, Z, **options)).max()


def test_where_it_stops_nothing_of_the_code_is_seen():
  for path in ("guided", "spaced"):
    whole = ends(path=path)
    assert whole > ends(path=path, stop=0.5) > 0 == ends(path=path, stop=1.0)


def test_a_mask_hides_what_a_time_may_not_read():
  assert ends(masked=False) > ends() > 0


def test_more_steps_than_times_are_refused():
  with pytest.raises(ValueError, match="sampling.inversion=1000"):
    shifted.Shifted(steps=20).check(20)
  with pytest.raises(ValueError, match="at most 19 of 20"):
    shifted.Shifted(path="spaced", steps=20, inversion=3).check(20)
  shifted.Shifted(steps=20, inversion=20).check(20)
