import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn.nets import fuse


def moved_at(x):
  """The same with another last pixel of the first image."""
  return jnp.asarray(x).at[0, -1, -1].add(1.0)


def test_what_the_levels_find_is_added_and_reaches_all_places(fill, normal):
  net = fuse.Dims(width=4, levels=2).net(3, runtime.Runtime())
  x = normal(2, 6, 8, 3)
  params = fill(net, x)["params"]
  run = jax.jit(lambda p, x: net.apply({"params": p}, x))
  # One pixel far away moves the others: by frequencies, not by kernels.
  moved = run(params, moved_at(x)) - run(params, x)
  assert jnp.abs(moved[0, 0, 0]).max() > 1e-6 and not moved[1].any()
  params["conv_out"] = jax.tree.map(jnp.zeros_like, params["conv_out"])
  dense = lambda p, y: y @ p["kernel"] + p["bias"]
  plain = dense(params["reconstruct"], dense(params["extract"], x))
  np.testing.assert_allclose(run(params, x), plain, atol=1e-5)
