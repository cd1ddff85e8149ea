import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import vector_net

NET = vector_net.VectorNet(out=5, width=8, blocks=3)


def inputs(normal):
  return normal(4, 5), np.array([0.0, 3.0, 7.0, 24.0]), normal(4, 6, seed=1)


def reference(variables, x, t, c):
  p = jax.tree.map(lambda a: np.float64(a), variables["params"])
  dense = lambda p, h: h @ p["kernel"] + p["bias"]
  leaky = lambda h: np.where(h > 0, h, 0.01 * h)
  h = dense(p["embed"], np.concatenate([x, t[:, None], c], 1))
  for i in range(3):
    block = p[f"block{i}"]
    h = h + leaky(dense(block["fc2"], leaky(dense(block["fc1"], h))))
  return dense(p["out"], h)


def test_it_equals_its_formula(fill, normal):
  variables = fill(NET, *inputs(normal), scale=0.4)
  found = NET.apply(variables, *inputs(normal))
  wanted = reference(variables, *inputs(normal))
  np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-4)


def test_vectors_may_have_any_dimensions_before_them(fill, normal):
  x, t, c = inputs(normal)
  variables = fill(NET, x, t, c)
  flat = NET.apply(variables, x, t, c)
  pairs = [a.reshape(2, 2, *a.shape[1:]) for a in (x, t, c)]
  np.testing.assert_allclose(
    NET.apply(variables, *pairs).reshape(4, 5), flat, atol=1e-6
  )


def test_outputs_are_float32_whatever_it_computes_in(fill, normal):
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  net = vector_net.VectorNet(out=5, width=8, blocks=3, rt=rt)
  variables = fill(net, *inputs(normal), scale=0.4)
  found = net.apply(variables, *inputs(normal))
  wanted = reference(variables, *inputs(normal))
  assert found.dtype == jnp.float32
  error = np.abs(np.asarray(found) - wanted).max()
  assert 1e-5 < error < 0.03 * np.abs(wanted).max()


def test_times_are_told_apart_whatever_it_computes_in(fill, normal):
  """bfloat16 knows no 513."""
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  net = vector_net.VectorNet(out=5, width=8, blocks=1, rt=rt)
  x, _, c = inputs(normal)
  variables = fill(net, x, np.zeros(4), c, scale=0.4)
  one, two = (net.apply(variables, x, np.full(4, t), c) for t in (512.0, 513.0))
  assert (np.abs(one - two).max(-1) > 0).all()
