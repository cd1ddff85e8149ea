import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import tokens as masking
from jmim.nn import budget
from jmim.nn import dropout
from jmim.nn import sizes
from jmim.nn.nets import mar

N, B = 6, 2
NET = mar.MAR(
  encoder=sizes.Size(width=8, depth=2, heads=2),
  decoder=sizes.Size(width=12, depth=1, heads=3),
  length=N,
  classes=3,
  buffer=2,
  rate=0.3,
)
SCORES = jnp.array([[3, 0, 5, 1, 4, 2], [0, 1, 2, 3, 4, 5]])
MASK = masking.from_scores(SCORES, 2)
LABEL = jnp.array([0, 3])


@pytest.fixture(scope="module")
def inputs(normal):
  return normal(B, N, 4)


@pytest.fixture(scope="module")
def variables(fill, inputs):
  return fill(NET, inputs, LABEL, MASK)


def test_masked_tokens_are_not_looked_at(inputs, variables):
  run = jax.jit(lambda x: NET.apply(variables, x, LABEL, MASK))
  z = run(inputs)
  assert z.shape == (B, N, 12) and z.dtype == jnp.float32
  hidden = np.asarray(MASK.mask)[..., None]
  np.testing.assert_array_equal(run(inputs + 9 * hidden), z)
  assert np.abs(run(inputs + 9 * (1 - hidden)) - z).max() > 1e-3


def test_what_is_gathered_in_vain_changes_nothing(inputs, variables):
  wide, valid = budget.split(SCORES, jnp.array(2), 4)
  z = NET.apply(variables, inputs, LABEL, MASK)
  same = NET.apply(variables, inputs, LABEL, wide, valid=valid)
  np.testing.assert_allclose(same, z, atol=1e-5)


def test_nothing_kept_leaves_the_label(inputs, variables):
  mask = masking.from_scores(SCORES, 0)
  z = NET.apply(variables, inputs, LABEL, mask)
  other = NET.apply(variables, inputs, LABEL[::-1], mask)
  assert np.isfinite(z).all() and np.abs(z - other).max() > 1e-3
  np.testing.assert_allclose(z[::-1], other, atol=1e-5)


def test_dropout_is_each_example_s_own(inputs, variables):
  keys = dropout.draw(jax.random.key(0), 0.3, B)["dropout"]
  z = NET.apply(variables, inputs, LABEL, MASK)
  dropped = NET.apply(variables, inputs, LABEL, MASK, keys=keys)
  assert np.abs(z - dropped).max() > 1e-3
  last = jax.tree.map(lambda x: x[1:], (inputs, LABEL, MASK))
  one = NET.apply(variables, *last, keys=keys[1:])
  np.testing.assert_allclose(one, dropped[1:], atol=1e-5)
