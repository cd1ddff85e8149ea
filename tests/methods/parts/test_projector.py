import jax
import jax.numpy as jnp
import numpy as np

from jmim.methods.parts import projector


def test_a_copied_scale_is_that_of_the_encoder_and_what_is_learnt(normal):
  scale, x = jnp.asarray(1 + normal(6)), jnp.asarray(normal(2, 3, 5))
  copied = projector.Projector()
  own = copied.init(jax.random.key(0), 5, 6)
  assert not own["norm"]["scale"].any()
  h = copied.project(own, scale, x)
  # Each token is as large as that norm's: its scale times unit squares.
  square = (np.asarray(h / scale) ** 2).mean(-1)
  np.testing.assert_allclose(square, 1, atol=1e-4)
  moved = {**own, "norm": {"scale": jnp.full(6, 0.5)}}
  whole = {**own, "norm": {"scale": scale + 0.5}}
  np.testing.assert_array_equal(
    copied.project(moved, scale, x),
    projector.Projector(norm="own").project(whole, None, x),
  )


def test_an_own_scale_begins_at_one(normal):
  part = projector.Projector(norm="own")
  own = part.init(jax.random.key(0), 5, 6)
  np.testing.assert_array_equal(own["norm"]["scale"], np.ones(6))
  h = part.project(own, None, jnp.asarray(normal(2, 3, 5)))
  np.testing.assert_allclose((np.asarray(h) ** 2).mean(-1), 1, atol=1e-4)
