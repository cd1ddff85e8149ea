import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.diffusion import discrete
from jmim.methods.parts import unmasking

MASK, L, B = 3, 6, 5
LAW = jnp.log(jnp.array([0.7, 0.2, 0.1, 1e-9]))


def logits_fn(x, t):
  return jnp.broadcast_to(LAW, (*x.shape, 4)) + 0 * t[:, None, None]


def sample(sampling, start, timed=False):
  keys = jax.random.split(jax.random.key(0), len(start))
  return sampling.sample(
    keys,
    logits_fn,
    jnp.asarray(start),
    mask_id=MASK,
    process=discrete.Absorbing("cosine"),
    timed=timed,
  )


@pytest.mark.parametrize("name", unmasking.SAMPLERS)
def test_zero_steps_are_one_per_token(name):
  sampling = unmasking.SAMPLERS[name]()
  start = np.full((B, L), MASK)
  out = sample(sampling, start)
  assert np.asarray(out.tokens).max() < MASK
  calls = np.asarray(out.calls)
  if name == "fhs":
    np.testing.assert_array_equal(calls, L)
  else:  # a prediction is kept while a row does not change
    timed = sample(sampling, start, True)
    np.testing.assert_array_equal(timed.tokens, out.tokens)
    assert (calls <= timed.calls).all() and (timed.calls <= L).all()
    assert (calls < timed.calls).any()


@pytest.mark.parametrize("name", unmasking.SAMPLERS)
def test_steps_are_the_most_calls(name):
  out = sample(unmasking.SAMPLERS[name](steps=2), np.full((B, L), MASK))
  assert np.asarray(out.calls).max() == 2


def test_both_draw_from_the_prediction():
  start = np.full((2000, L), MASK)
  for kind in unmasking.SAMPLERS.values():
    tokens = np.asarray(sample(kind(), start).tokens)
    share = np.bincount(tokens.ravel(), minlength=3) / tokens.size
    np.testing.assert_allclose(share, [0.7, 0.2, 0.1], atol=0.015)


def test_a_limit_needs_noise_that_can_be_cut():
  unmasking.FirstHitting(order=2).check()
  unmasking.Ancestral(noise_limit=3.0, precision="f64").check()
  with pytest.raises(ValueError, match="noise_limit with precision"):
    unmasking.Ancestral(noise_limit=3.0).check()
