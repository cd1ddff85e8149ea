import jax
import numpy as np
import pytest

from jmim.nn.nets import code_encoder
from jmim.nn.nets import corrected
from jmim.nn.nets import unet

NETS = corrected.Corrected(
  dims=unet.Dims(
    width=8,
    multipliers=(1, 2),
    blocks=1,
    attend_at=(2,),
    heads=2,
    norm_groups=4,
    dropout=0.5,
    scale_shift=True,
    updown=True,
  ),
  encoder=code_encoder.Dims(widths=(4, 8), heads=2, norm_groups=2),
  width=5,
  side=8,
  channels=3,
  outputs=2,
)
T = np.array([1.0, 9.0])


@pytest.fixture(scope="module")
def found(normal):
  host = jax.jit(NETS.init_host)(jax.random.key(0))
  params = jax.jit(NETS.init)(jax.random.key(1))
  eps, taps = NETS.frozen(host, normal(2, 8, 8, 3), T)
  return params, eps, taps


def test_the_correction_starts_at_zero_and_reads_the_code(found, normal):
  params, eps, taps = found
  assert eps.shape == (2, 8, 8, 3)  # of the host's six channels
  z = normal(2, 5)
  assert not np.asarray(NETS.correction(params, taps, z)).any()
  noise = lambda a: a + 0.3 * np.random.default_rng(2).normal(size=a.shape)
  params = jax.tree.map(noise, params)
  moved = NETS.correction(params, taps, z + 1) - NETS.correction(
    params, taps, z
  )
  assert np.abs(moved).max(-1).min() > 1e-5


def test_dropout_is_the_branch_s_and_follows_its_seed(found, normal):
  params, _, taps = found
  noise = lambda a: a + 0.3 * np.random.default_rng(2).normal(size=a.shape)
  params, z = jax.tree.map(noise, params), normal(2, 5)
  say = lambda *seed: np.asarray(NETS.correction(params, taps, z, *seed))
  np.testing.assert_array_equal(say(3), say(3))
  assert np.abs(say(3) - say(4)).max() > 1e-3
  np.testing.assert_array_equal(say(), say())
