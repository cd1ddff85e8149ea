import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import contrast
from jmim.nn import losses

PART = contrast.Contrast(temperature=0.2)


def test_equal_texts_are_no_wrong_answers(normal):
  p, e = normal(3, 4), normal(5, 4, seed=1)
  ids = jnp.array([[1, 2], [3, 4], [1, 2], [1, 5], [3, 4]])
  right = np.eye(3, 5, dtype=bool)
  right[0, 2] = right[2, 0] = right[1, 4] = True
  found = PART.loss(PART.init(), p, e, ids)
  unit = lambda x: x / np.linalg.norm(x, axis=-1, keepdims=True)
  loss, (hits, _) = losses.paired(5.0 * unit(p) @ unit(e).T, right)
  wanted = (loss, hits)
  np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize("n, b", [(16, 16), (64, 64), (64, 160)])
def test_who_knows_nothing_pays_the_logarithm_of_the_batch(n, b):
  """Random cosines deviate by 1 / sqrt(d), which adds 1 / (2 d T^2)."""
  d, rng = 512, np.random.default_rng(0)
  p, e = (jnp.asarray(rng.normal(size=(k, d)), "f4") for k in (n, b))
  ids = jnp.arange(b)[:, None]
  loss = lambda p, t: float(PART.loss(jnp.float32(-np.log(t)), p, e, ids)[0])
  nothing = (np.log(n) + np.log(b)) / 2  # of columns and of rows
  for t in (1.0, 0.2, 0.07):
    wide = 1 / (t * d**0.5)
    wanted = nothing + wide**2 / 2
    assert abs(loss(p, t) - wanted) < 3 * wide / n**0.5, t
  assert loss(e[:n], 0.07) < 0.1 < nothing


def test_the_temperature_is_learned_down_to_a_hundredth(normal):
  p = normal(4, 8)
  ids = jnp.arange(4)[:, None]
  slope = jax.grad(lambda s, e: PART.loss(s, p, e, ids)[0])
  assert slope(PART.init(), p) < 0  # what is right may be surer
  beyond = jnp.float32(np.log(101.0))
  assert 0 <= slope(beyond, p) < 1e-6
  assert slope(beyond, p[::-1]) > 1  # what is wrong leads back
