import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import hidden_tokens
from jmim.methods.parts import raster

R = raster.Raster(shape=(4, 8, 8), patch=(2, 4, 4))
BOTH, N = ("random", "prefix"), 8


def drawn(batch=400, kinds=BOTH, **fields):
  part = hidden_tokens.Hidden(**fields)
  draws = part.draw(randomness.Keys(jax.random.key(0)), R, batch, kinds)
  return part, draws


def test_the_share_is_hidden_and_a_token_is_left_to_predict():
  part, draws = drawn()
  assert draws.keys() == {"noise", "prefix"}
  k = np.asarray(draws["prefix"])
  assert set(k.tolist()) == set(range(1, N))
  keep = part.keep(draws, R)
  np.testing.assert_array_equal(keep["prefix"].sum(1), k)
  # 40 % of 8 tokens: 3 = int(8 * 0.4) are hidden.
  assert set(np.asarray(keep["random"].sum(1)).tolist()) == {5}
  assert abs(np.asarray(keep["random"]).mean(0) - 0.625).max() < 0.12


def test_a_range_of_shares_is_drawn_per_volume():
  part, draws = drawn(kinds=("random",), range=(0.2, 0.8))
  ratio = np.asarray(draws["ratio"])
  assert 0.2 <= ratio.min() < 0.25 and 0.75 < ratio.max() <= 0.8
  keep = part.keep(draws, R)
  assert keep.keys() == {"random"}
  hidden = N - np.asarray(keep["random"].sum(1))
  np.testing.assert_array_equal(hidden, np.floor(N * ratio))


def test_a_network_reads_both_kinds_in_one_pass():
  part, draws = drawn(batch=3, fill="noise")
  volumes = np.random.default_rng(0).random((3, *R.shape), dtype=np.float32)
  seen = []

  def network(x):
    seen.append(x.shape)
    return 2 * x

  found = part.apply(network, volumes, draws, R)
  assert seen == [(6, *R.shape)] and tuple(found) == BOTH
  for kind, keep in part.keep(draws, R).items():
    want = 2 * R.hide(volumes, keep, draws["fill"])
    np.testing.assert_array_equal(found[kind], want)


def test_the_filling_is_zero_or_noise():
  part, draws = drawn(batch=3, fill="noise")
  assert draws["fill"].shape == (3, *R.shape)
  noise = part.filling(jax.random.key(1), (50, *R.shape))
  assert abs(noise.std() - 1) < 0.05
  zero = hidden_tokens.Hidden().filling(jax.random.key(1), (2, *R.shape))
  assert not np.any(zero)


@pytest.mark.parametrize("pair", [(0.5,), (0.8, 0.2), (0.2, 1.0), (-0.1, 0.5)])
def test_a_range_that_is_none_is_an_error(pair):
  with pytest.raises(ValueError, match="hidden.range"):
    hidden_tokens.Hidden(range=pair).check()
