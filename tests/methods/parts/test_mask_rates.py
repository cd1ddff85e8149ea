import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import mask_rates

N = 9
R = np.array([0.0, 0.2, 0.5, 0.9, 0.999], np.float32)
SCORES = np.random.default_rng(0).random((5, N)).astype(np.float32)


def masked(**fields):
  part = mask_rates.MaskRates(**fields)
  return np.asarray(part.masked({"r": R, "scores": SCORES}))


def test_as_many_are_masked_as_the_schedule_says():
  expected = np.ceil(N * np.cos(np.pi / 2 * R)).astype(int)
  np.testing.assert_array_equal(masked().sum(1), expected)
  least = masked(least=0.5).sum(1)
  np.testing.assert_array_equal(least, np.maximum(expected, 5))
  assert masked(schedule="uniform").sum(1).tolist() == [9, 8, 5, 1, 1]
  # 1 - 2^-log2(N) at r = 0: one is seen even there.
  for name, most in {"log": N, "exp": N - 1, "pow2": N}.items():
    count = masked(schedule=name).sum(1)
    assert count[0] == most and count[-1] == 1


def test_the_smallest_scores_are_masked():
  for scores, hidden in zip(SCORES[2:], masked()[2:], strict=True):
    assert scores[hidden].max() < scores[~hidden].min()


def test_what_is_drawn():
  draws = mask_rates.MaskRates().draw(
    randomness.Keys(jax.random.key(0)), (4, N)
  )
  assert {k: v.shape for k, v in draws.items()} == {
    "r": (4,),
    "scores": (4, N),
  }


def test_a_schedule_that_is_none():
  with pytest.raises(ValueError, match="masks.schedule 'cos' is none of"):
    mask_rates.MaskRates(schedule="cos").check()
