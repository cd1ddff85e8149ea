import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import generated_tokens
from jmim.methods.parts import heard

TEXT = heard.Text(length=5)
TOKENS = np.array([[5, 6, 7, 1, 9, 9], [5, 6, 7, 8, 4, 3], [5, 1, 0, 0, 0, 0]])
SHARED = generated_tokens.Generated(length=6, width=2, shared=True)


def batch(normal, **more):
  return {"generated": jnp.asarray(normal(3, 6, 2)), **more}


def test_the_first_tokens_are_told_and_the_others_said(normal):
  b = batch(normal, generated_tokens=jnp.asarray(TOKENS))
  got = SHARED.heard(None, b, {"place": jnp.array([0.99, 0.0, 0.9])}, TEXT)
  assert got.before is None
  np.testing.assert_array_equal(got.features, b["generated"])
  # Of three tokens the last may be left: one is to be said, and the end.
  np.testing.assert_array_equal(got.present.sum(1), [2, 1, 0])
  np.testing.assert_array_equal(got.labels[0], [7, 1, 0, 0, 0])
  np.testing.assert_array_equal(got.labels[1], [6, 7, 8, 4, 1])
  # Nothing was told of the third: it is not asked.
  np.testing.assert_array_equal(got.said.sum(1), [2, 5, 0])
  x, there = SHARED.whole(None, b, TEXT)
  np.testing.assert_array_equal(there.sum(1), [3, 6, 1])
  np.testing.assert_array_equal(x, b["generated"])


def test_rests_are_looked_up_by_the_place(normal):
  part = generated_tokens.Generated(length=6, width=2, most=3)
  rests = np.zeros((3, 6, 5), int)
  for place in range(6):
    rests[:, place, 0] = 10 + place
  rests[1, 2, :] = [20, 21, 22, 23, 24]
  b = batch(normal, rests=jnp.asarray(rests))
  got = part.heard(None, b, {"place": jnp.array([0.99, 0.4, 0.0])}, TEXT)
  np.testing.assert_array_equal(got.present.sum(1), [3, 2, 1])
  np.testing.assert_array_equal(got.labels[0], [13, 1, 0, 0, 0])
  np.testing.assert_array_equal(got.labels[1], [20, 21, 22, 23, 1])
  np.testing.assert_array_equal(got.said.sum(1), [2, 5, 2])
  assert part.whole(None, b, TEXT)[1].all()


def test_what_is_read():
  assert set(SHARED.inputs(TEXT, 30)) == {"generated", "generated_tokens"}
  other = generated_tokens.Generated(length=6, width=2)
  assert other.inputs(TEXT, 30)["rests"].shape == (6, 5)
  assert other.consts(30) == {} and other.channels == 2
