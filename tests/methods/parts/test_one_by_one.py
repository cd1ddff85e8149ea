import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import one_by_one
from jmim.nn import sizes
from jmim.nn.nets import token_lm

SIZE = sizes.Size(width=16, depth=1, heads=2)
NET = token_lm.TokenLM(size=SIZE, rows=9, outputs=7, length=5, prefix=2)
KEYS = jax.random.split(jax.random.key(0), 3)
BEFORE = jnp.array([[7, 8, 2], [8, 8, 2], [7, 7, 2]])


@pytest.fixture(scope="module")
def params():
  rng = np.random.default_rng(0)
  shapes = jax.eval_shape(NET.init, jax.random.key(0), jnp.zeros((1, 7), int))
  fill = lambda s: (0.5 * rng.normal(size=s.shape)).astype(s.dtype)
  return jax.tree.map(fill, shapes["params"])


def sample(params, known=None, **fields):
  part = one_by_one.OneByOne(**fields)
  how = dict(codes=(4, 3), known=known)
  run = lambda p: part.sample(KEYS, NET, p, BEFORE, **how)
  return np.asarray(jax.jit(run)(params))


def test_a_cache_changes_nothing(params):
  for fields in ({}, {"top_k": 2, "temperature": 2.0}, {"top_p": 0.6}):
    made = sample(params, **fields)
    assert made.shape == (3, 4) and made.min() >= 0 and made.max() < 3
    again = sample(params, cache=False, **fields)
    np.testing.assert_array_equal(made, again)


def test_the_likeliest_is_that_of_a_whole_pass(params):
  made = sample(params, top_k=1)
  ids = np.concatenate([BEFORE, 4 + made], axis=1)
  logits = NET.apply({"params": params}, ids)["logits"][:, 2:-1, 4:]
  np.testing.assert_array_equal(np.argmax(logits, -1), made)


def test_known_codes_stay(params):
  known = np.full((3, 4), -1)
  known[:, 1] = [2, 0, 1]
  np.testing.assert_array_equal(sample(params, known)[:, 1], [2, 0, 1])


def test_all_of_it_may_be_asked_anew():
  @dataclasses.dataclass(frozen=True)
  class Holder:
    sampling: one_by_one.OneByOne = field.part(one_by_one.OneByOne, "sampler")

  assert "sampling.cache" in field.asked(Holder)
