import functools

import jax
import numpy as np

from jmim.nn import coupling


def test_a_coupling_is_undone(fill, normal):
  """To 1e-5, though its output is far from its input."""
  net, x = coupling.Coupling(width=6), normal(2, 5, 4, 6)
  variables = fill(net, x)
  run = jax.jit(functools.partial(net.apply, variables))
  undo = functools.partial(net.apply, variables, method="inverse")
  y = run(x)
  assert np.abs(y - x).mean() > 0.1
  np.testing.assert_allclose(jax.jit(undo)(y), x, atol=1e-5)


def test_a_scale_stays_between_its_limits(fill, normal):
  """Whatever H says, x2 is multiplied by at most e^0.8."""
  net, x = coupling.Coupling(width=2), normal(1, 4, 4, 2)
  variables = fill(net, x, scale=1.0)
  y = np.asarray(net.apply(variables, x))
  moved = variables["params"]
  still = {**moved, "h": jax.tree.map(np.zeros_like, moved["h"])}
  still = np.asarray(net.apply({"params": still}, x))
  large = np.abs(x[..., 1]) > 0.3  # where rounding does not matter
  ratio = (y - still)[..., 1][large] / x[..., 1][large]
  assert np.exp(-0.8) - 1 - 1e-3 <= ratio.min()
  assert 0.1 < np.abs(ratio).max() and ratio.max() <= np.exp(0.8) - 1 + 1e-3


def test_instance_norm_is_per_image_and_channel(normal):
  x = normal(2, 6, 6, 3) * 4 + 2
  layer = coupling.InstanceNorm()
  scale, bias = np.float32([1, 2, 3]), np.float32([0, 1, -1])
  y = layer.apply({"params": {"scale": scale, "bias": bias}}, x)
  mean, std = x.mean((1, 2), keepdims=True), x.std((1, 2), keepdims=True)
  np.testing.assert_allclose(y, (x - mean) / std * scale + bias, atol=1e-4)
