import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import categorical
from jmim.diffusion import truncated

P = np.array([0.5, 0.3, 0.15, 0.04, 0.01])
N = 40_000


def shares(precision, limit=0.0, p=P):
  logp = jnp.broadcast_to(jnp.log(jnp.asarray(p)), (N, len(p)))
  draw = jax.jit(lambda k: categorical.draw(k, logp, precision, limit))
  drawn = np.asarray(draw(jax.random.key(0)))
  assert drawn.dtype == np.int32
  return np.bincount(drawn, minlength=len(p)) / N


@pytest.mark.parametrize("precision", categorical.PRECISIONS)
def test_classes_come_as_often_as_they_should(precision):
  error = 4 * np.sqrt(P * (1 - P) / N)
  assert (np.abs(shares(precision) - P) < error).all()


@pytest.mark.parametrize("precision", ["f32", "f64"])
def test_limited_noise_has_the_law_of_the_theory(precision):
  for limit in (0.5, 2.0):
    want = truncated.trunc_probs(P, limit)
    error = 4 * np.sqrt(want * (1 - want) / N) + 1e-9
    assert (np.abs(shares(precision, limit) - want) < error).all()


def test_float64_is_float64_and_nothing_else_becomes_it():
  draw = lambda k: categorical.draw(k, jnp.zeros(8), "f64")
  text = jax.jit(draw).lower(jax.random.key(0)).as_text()
  logs = re.findall(r"stablehlo.log .*: tensor<8x(f\d+)>", text)
  assert logs == ["f64", "f64"]
  assert re.search(r"stablehlo.add .*: tensor<8xf64>", text)
  assert re.search(r"stablehlo.(maximum|subtract) .*xf64>", text)
  assert jnp.zeros(1, jnp.result_type(float)).dtype == jnp.float32


def test_a_class_without_probability_is_never_drawn():
  for precision in categorical.PRECISIONS:
    assert shares(precision, p=np.array([0.5, 0.0, 0.5]))[1] == 0


def test_rows_have_randomness_of_their_own():
  logp = jnp.zeros((4, 3, 1000))
  keys = categorical.row_keys(jax.random.key(0), 4)
  assert categorical.row_keys(keys, 4) is keys
  whole = categorical.draw_rows(keys, logp, "f32")
  assert len(np.unique(whole)) > 8
  part = categorical.draw_rows(keys[2:], logp[2:], "f32")
  np.testing.assert_array_equal(whole[2:], part)


def test_what_cannot_be_asked_is_named():
  with pytest.raises(ValueError, match="f16"):
    categorical.draw(jax.random.key(0), jnp.zeros(3), "f16")
  with pytest.raises(ValueError, match="limit"):
    categorical.draw(jax.random.key(0), jnp.zeros(3), "f32_high", 3.0)


def test_the_race_is_a_draw():
  u = jax.random.uniform(jax.random.key(3), (N, len(P)))
  drawn = np.asarray(categorical.race(jnp.asarray(P), u))
  found = np.bincount(drawn, minlength=len(P)) / N
  assert (np.abs(found - P) < 4 * np.sqrt(P * (1 - P) / N)).all()


def test_given_numbers_pick_by_gumbel_noise():
  u = jax.random.uniform(jax.random.key(0), (N, len(P)))
  picked = np.asarray(categorical.pick(jnp.log(jnp.asarray(P)), u))
  noise = -np.log(-np.log(np.asarray(u, np.float64) + 1e-30))
  assert (picked == (np.log(P) + noise).argmax(-1)).mean() > 0.9999
  np.testing.assert_allclose(np.bincount(picked) / N, P, atol=0.01)
  assert categorical.pick(jnp.zeros(3), jnp.array([0.0, 0.5, 0.0])) == 1
