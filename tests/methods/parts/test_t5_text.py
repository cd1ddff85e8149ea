import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import t5_text
from jmim.methods.parts import text

SIZES = dict(words=11, width=8, depth=1, heads=2, head_width=4, hidden=12)
PART = field.replace(
  t5_text.T5Text(length=5), t5=dict(buckets=8, distance=16, **SIZES)
)
IDS = jnp.array([[3, 4, 1, 0, 0], [5, 1, 0, 0, 0], [3, 4, 5, 6, 7]])


@pytest.fixture(scope="module")
def params():
  return PART.init(jax.random.key(0))


def test_behind_the_end_there_are_zeros(params):
  out = PART.encode(method.Weights({}), params, IDS, pooled=True)
  there = (np.asarray(out.tokens) != 0).any(-1)
  np.testing.assert_array_equal(there.sum(1), [3, 2, 5])
  mean = np.asarray(out.tokens)[0, :3].mean(0)
  np.testing.assert_allclose(out.pooled[0], mean, atol=1e-6)
  # What stands behind an end changes nothing.
  other = PART.encode(method.Weights({}), params, IDS.at[0, 3:].set(9))
  np.testing.assert_allclose(other.tokens[0], out.tokens[0], atol=1e-6)
  assert not other.pooled.any()


def test_as_the_encoder_gives_them(params):
  part = field.replace(PART, fill="encoded")
  plain = PART.encode(method.Weights({}), params, IDS).tokens
  full = part.encode(method.Weights({}), params, IDS).tokens
  np.testing.assert_array_equal(full[0, :3], plain[0, :3])
  assert (np.asarray(full) != 0).any(-1).all()


def test_frozen_it_is_a_const_of_the_same_arrays(params):
  part = field.replace(PART, path="W")
  (const,) = part.consts("condition.text").values()
  assert const.key == "method.condition.text.path" and part.init(0) == {}
  assert const.agrees["network.tied"][0] == "method.condition.text.t5.tied"
  like = jax.eval_shape(const.init, jax.random.key(0))
  assert jax.tree.map(lambda x: x.shape, like) == jax.tree.map(
    lambda x: x.shape, params
  )
  weights = method.Weights({}, {}, {text.CONST: params})
  np.testing.assert_array_equal(
    part.encode(weights, {}, IDS).tokens,
    PART.encode(method.Weights({}), params, IDS).tokens,
  )
  assert PART.consts() == {}


def test_an_empty_text_is_an_end():
  np.testing.assert_array_equal(PART.empty(IDS), [[1, 0, 0, 0, 0]] * 3)
  (entry,) = PART.entries().values()
  assert entry.shape == (5,) and entry.high == 11 and entry.holds == (1,)
  with pytest.raises(ValueError, match=r"text.end 11 of text.t5.words 11"):
    field.replace(PART, end=11).entries()
