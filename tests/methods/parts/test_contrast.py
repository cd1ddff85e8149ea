import jax
import jax.numpy as jnp
import numpy as np

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


def test_the_temperature_is_learned_down_to_a_hundredth(normal):
  p = normal(4, 8)
  ids = jnp.arange(4)[:, None]
  slope = jax.grad(lambda s, e: PART.loss(s, p, e, ids)[0])
  assert slope(PART.init(), p) < 0  # what is right may be surer
  beyond = jnp.float32(np.log(101.0))
  assert 0 <= slope(beyond, p) < 1e-6
  assert slope(beyond, p[::-1]) > 1  # what is wrong leads back
