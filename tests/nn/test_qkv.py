import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.nn import qkv
from jmim.parallel import sharding

W, HEADS = 8, 2


def test_three_matrices_start_wider_than_one():
  key, w = jax.random.key(0), 64
  kernel = np.asarray(qkv.separate_xavier(key, (w, 3 * w)))
  assert kernel.shape == (w, 3 * w)
  bound = np.sqrt(6 / (w + w))
  for part in np.split(kernel, 3, axis=1):
    assert 0.99 * bound < np.abs(part).max() <= bound
  q, k, v = np.split(kernel, 3, axis=1)
  assert np.abs(q - k).min() > 0 and np.abs(k - v).min() > 0


@pytest.mark.parametrize("tensor", [1, 2])
def test_columns_are_ordered_by_part_head_and_dimension(tensor, fill, normal):
  mesh = None
  if tensor > 1:
    mesh = sharding.make_mesh({"data": 1, "tensor": 2}, jax.devices()[:2])
  rt = runtime.Runtime(mesh=mesh, batch_axes=sharding.BATCH_AXES)
  init = jax.nn.initializers.normal(1.0)
  module = qkv.Qkv(heads=HEADS, use_bias=True, kernel_init=init, rt=rt)
  x = normal(2, 3, W)
  variables = fill(module, x)
  p = variables["params"]
  y = x @ p["kernel"] + p["bias"]
  made = jax.jit(module.apply)(variables, x)
  for part in range(3):
    for head in range(HEADS):
      first = part * W + head * W // HEADS
      np.testing.assert_allclose(
        made[part, :, head], y[:, :, first : first + W // HEADS], atol=1e-5
      )


def test_a_bias_from_elsewhere_is_added(fill, normal):
  init = jax.nn.initializers.normal(1.0)
  module = qkv.Qkv(heads=HEADS, use_bias=False, kernel_init=init)
  x, bias = normal(2, 3, W), normal(3 * W, seed=1)
  variables = fill(module, x)
  assert set(variables["params"]) == {"kernel"}
  added = module.apply(variables, x, bias) - module.apply(variables, x)
  wanted = bias.reshape(3, 1, HEADS, 1, -1)
  np.testing.assert_allclose(
    added, np.broadcast_to(wanted, added.shape), atol=1e-5
  )
