import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import randomness
from jmim.methods.parts import masked_tokens

PART = field.replace(
  masked_tokens.MaskedTokens(),
  encoder=dict(width=8, depth=1, heads=2),
  decoder=dict(width=12, depth=1, heads=2),
  buffer=2,
  dropout=0.0,
)
B, N, C, CLASSES = 2, 10, 3, 4


def drawn(part=PART, key=0):
  return part.draw(randomness.Keys(jax.random.key(key)), (B, N))


def test_what_is_drawn():
  draws = drawn()
  assert set(draws) == {"n_mask", "order"}
  assert 7 <= draws["n_mask"] <= N
  dropping = drawn(field.replace(PART, dropout=0.5))
  assert dropping["dropout"].shape == (B, 2)


def test_room_is_for_what_the_least_rate_leaves():
  order = drawn()["order"]
  mask, valid = PART.mask(order, jnp.array(8))
  assert mask.keep.shape == (B, 3) and (valid.sum(1) == 2).all()
  hidden = np.take_along_axis(np.asarray(mask.mask), np.asarray(order), 1)
  np.testing.assert_array_equal(hidden, [[1] * 8 + [0] * 2] * B)
  whole, valid = PART.mask(order, 0, least=0)
  assert whole.keep.shape == (B, N) and valid is None


def test_several_labels_are_one_batch(normal):
  params = jax.jit(lambda k: PART.init(k, (N, C), CLASSES))(jax.random.key(0))
  x, draws = normal(B, N, C), drawn()
  masked = PART.mask(draws["order"], draws["n_mask"])
  labels = [jnp.array([0, 1]), jnp.full(B, CLASSES)]
  both = PART.vectors(params, x, labels, masked, classes=CLASSES)
  for label, z in zip(labels, both, strict=True):
    (alone,) = PART.vectors(params, x, [label], masked, classes=CLASSES)
    assert z.shape == (B, N, 12)
    np.testing.assert_allclose(z, alone, atol=1e-5)
  assert np.abs(both[0] - both[1]).max() > 1e-3


def test_mistakes():
  with pytest.raises(ValueError, match="network.encoder."):
    field.replace(PART, encoder=dict(heads=3)).check()
