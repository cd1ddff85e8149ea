import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import raster
from jmim.methods.parts import token_rollout

R = raster.Raster(shape=(2, 4, 4), patch=(1, 2, 2))
PART = token_rollout.Rollout(start=3, last=2)


def growing(tokens, k):
  """The token before, plus one: errors add up."""
  return jnp.take_along_axis(tokens, k[:, None, None] - 1, 1)[:, 0] + 1


def test_tokens_are_made_of_tokens_that_were_made(normal):
  given = normal(2, R.count, R.voxels)
  made = np.asarray(PART.tokens(growing, given))
  np.testing.assert_array_equal(made[:, :3], given[:, :3])
  for i in range(3, R.count):
    np.testing.assert_allclose(made[:, i], given[:, 2] + i - 2, rtol=1e-6)


def test_what_is_not_given_is_not_read(normal):
  given = normal(1, R.count, R.voxels)
  seen = lambda tokens, k: tokens[:, 3:].sum(1) + tokens[:, 0]
  other = given.copy()
  other[:, 3:] += 5
  np.testing.assert_array_equal(
    PART.tokens(seen, given), PART.tokens(seen, other)
  )


def test_errors_of_the_near_and_the_far_end():
  zero = np.zeros((1, *R.shape), np.float32)
  found = PART.errors(growing, R, zero)
  each = np.arange(1, 6) ** 2.0  # of the five generated tokens
  want = {
    "error": each.mean(),
    "near": each[:2].mean(),
    "far": each[-2:].mean(),
    "growth": each[-2:].mean() / each[:2].mean(),
  }
  assert found.keys() == want.keys()
  for name, value in want.items():
    np.testing.assert_allclose(found[name], [value], rtol=1e-5)


def test_nothing_left_to_generate_is_an_error():
  PART.check(4)
  with pytest.raises(ValueError, match="rollout.start=3 of 3"):
    PART.check(3)
