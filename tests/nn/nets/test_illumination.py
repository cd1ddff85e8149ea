import jax
import jax.numpy as jnp
import numpy as np

from jmim.nn.nets import illumination


def moved_at(x):
  """The same with another last pixel of the first image."""
  return jnp.asarray(x).at[0, -1, -1].add(1.0)


def test_features_see_the_whole_map_and_lie_at_half_its_side(fill, normal):
  net, x = illumination.Encoder(width=2), normal(2, 8, 12, 1)
  params = fill(net, x)
  run = jax.jit(net.apply)
  features, (fine, middle) = run(params, x)
  assert features.shape == (2, 4, 6, 8) and fine.shape == (2, 8, 12, 2)
  assert middle.shape == (2, 4, 6, 4)
  other, (near, _) = run(params, moved_at(x))
  assert jnp.abs(other - features)[0, 0, 0].max() > 1e-6
  np.testing.assert_array_equal(other[1], features[1])
  np.testing.assert_array_equal(near[0, 0, 0], fine[0, 0, 0])  # of kernels


def test_a_gate_that_is_shut_leaves_what_was_joined(fill, normal):
  net = illumination.Merge(inner=4, reduction=2, out=3)
  skip, below = normal(1, 4, 4, 2), normal(1, 2, 2, 3, seed=1)
  params = fill(net, skip, below)["params"]
  run = jax.jit(lambda p: net.apply({"params": p}, skip, below))
  shut = {
    **params,
    "process1": jax.tree.map(jnp.zeros_like, params["process1"]),
  }
  assert jnp.abs(run(params) - run(shut)).max() > 1e-6
  # Whatever the gate says, nothing is added to what is joined.
  other = {**shut, "gate1": jax.tree.map(lambda a: a + 3.0, params["gate1"])}
  np.testing.assert_allclose(run(shut), run(other), atol=1e-6)


def test_a_map_comes_back_at_its_size(fill, normal):
  encoder, decoder = (
    illumination.Encoder(width=2),
    illumination.Decoder(width=2),
  )
  x = normal(1, 8, 8, 1)
  seen = encoder.apply(fill(encoder, x), x)
  made = decoder.apply(fill(decoder, *seen), *seen)
  assert made.shape == x.shape and made.dtype == jnp.float32
  assert jnp.isfinite(made).all() and made.std() > 0
