import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn.frozen import lpips


def weights(seed=0):
  """AlexNet's shapes, with random numbers."""
  rng, arrays = np.random.default_rng(seed), {}
  shapes = {
    0: (64, 3, 11, 11),
    3: (192, 64, 5, 5),
    6: (384, 192, 3, 3),
    8: (256, 384, 3, 3),
    10: (256, 256, 3, 3),
  }
  for i, (index, shape) in enumerate(shapes.items()):
    scale = np.sqrt(2 / np.prod(shape[1:]))
    arrays[f"features.{index}.weight"] = scale * rng.standard_normal(shape)
    arrays[f"features.{index}.bias"] = 0.1 * rng.standard_normal(shape[0])
    arrays[f"lin{i}.model.1.weight"] = rng.random((1, shape[0], 1, 1))
  return {n: x.astype(np.float32) for n, x in arrays.items()}


def slow_lpips(p, a, b):
  """The definition in float64 for one pair, each kernel by itself."""
  shift, scale = np.array([-0.030, -0.088, -0.188]), [0.458, 0.448, 0.450]
  total = 0.0
  planes = [np.moveaxis((x - shift) / scale, -1, 0) for x in (a, b)]
  layers = ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1))
  for i, (index, stride, padding) in enumerate(layers):
    if index in (3, 6):
      planes = [
        np.lib.stride_tricks.sliding_window_view(x, (3, 3), (1, 2))[
          :, ::2, ::2
        ].max((-2, -1))
        for x in planes
      ]
    w, bias = p[f"features.{index}.weight"], p[f"features.{index}.bias"]
    new = []
    for x in planes:
      x = np.pad(x, ((0, 0), (padding,) * 2, (padding,) * 2))
      view = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (1, 2))[
        :, ::stride, ::stride
      ]
      y = np.einsum("chwkl,ockl->ohw", view, w.astype(float), optimize=True)
      new.append(np.maximum(y + bias[:, None, None], 0))
    planes = new
    unit = [x / (np.linalg.norm(x, axis=0) + 1e-10) for x in planes]
    line = p[f"lin{i}.model.1.weight"][0, :, 0, 0]
    total += np.einsum("chw,c->hw", (unit[0] - unit[1]) ** 2, line).mean()
  return total


def test_lpips_is_its_definition():
  p = weights()
  rng = np.random.default_rng(2)
  a, b = rng.uniform(-1, 1, (2, 64, 70, 3))
  distance = jax.jit(functools.partial(lpips.distance, lpips.ALEX))
  got = distance(
    p, np.stack([a, a]).astype("f4"), np.stack([b, a]).astype("f4")
  )
  np.testing.assert_allclose(got[0], slow_lpips(p, a, b), rtol=1e-4)
  assert got[1] == 0


def test_vgg16_has_the_convolutions_of_torchvision():
  assert [layer.index for layer in lpips.VGG16] == [
    0,
    2,
    5,
    7,
    10,
    12,
    14,
    17,
    19,
    21,
    24,
    26,
    28,
  ]
  taps = [layer for layer in lpips.VGG16 if layer.tap]
  assert [layer.index for layer in taps] == [2, 7, 14, 21, 28]
  assert [layer.width for layer in taps] == [64, 128, 256, 512, 512]
  pools = [layer.index for layer in lpips.VGG16 if layer.pool]
  assert pools == [5, 10, 17, 24]


@pytest.mark.parametrize("lin", [True, False])
def test_a_distance_is_symmetric_positive_and_zero_of_equals(lin):
  layers = lpips.small(4)
  p = lpips.random(jax.random.key(0), layers, lin=lin)
  rng = np.random.default_rng(0)
  a, b = rng.uniform(-1, 1, (2, 3, 16, 16, 3)).astype("f4")
  there = lpips.distance(layers, p, a, b)
  assert there.shape == (3,) and (there > 0).all()
  np.testing.assert_allclose(there, lpips.distance(layers, p, b, a), rtol=1e-5)
  np.testing.assert_array_equal(lpips.distance(layers, p, a, a), 0)


def test_without_weights_of_channels_all_weigh_alike():
  layers = lpips.small(4, 1)
  p = lpips.random(jax.random.key(0), layers, lin=False)
  rng = np.random.default_rng(0)
  a, b = rng.uniform(-1, 1, (2, 1, 8, 8, 3)).astype("f4")
  even = {"lin0.model.1.weight": jnp.full((1, 4, 1, 1), 0.25)}
  np.testing.assert_allclose(
    lpips.distance(layers, p, a, b),
    lpips.distance(layers, p | even, a, b),
    rtol=1e-6,
  )


def test_the_gradient_is_finite_where_nothing_answers():
  x = jnp.full((1, 2, 2, 3), -1.0).at[0, 0, 0].set(1.0)
  u = jnp.arange(12.0).reshape(1, 2, 2, 3)

  def distance(x):
    return lpips.layer_distance(jax.nn.relu(x), u, jnp.ones(3)).sum()

  grad = np.array(jax.grad(distance)(x))
  assert np.isfinite(grad).all() and grad[0, 0, 0].any()
  grad[0, 0, 0] = 0
  assert not grad.any()


def test_distances_of_features_have_finite_gradients_where_all_are_dead():
  layers = lpips.small(4, 2)
  p = lpips.random(jax.random.key(0), layers)
  p = p | {n: x - 99.0 for n, x in p.items() if n.endswith("bias")}
  x = jnp.ones((1, 8, 8, 3))
  value, grad = jax.value_and_grad(
    lambda y: lpips.distance(layers, p, x, y).sum()
  )(0.5 * x)
  assert value == 0 and not np.asarray(grad).any()


def test_vgg19_has_the_layers_of_torchvision():
  """Numbers of its convolutions, and which end a stage."""
  found = [(x.index, x.width) for x in lpips.VGG19 if x.tap]
  assert found == [(2, 64), (7, 128), (16, 256), (25, 512), (34, 512)]
  assert len(lpips.VGG19) == 16


def test_features_before_their_relu_are_cut_by_it(normal):
  layers = lpips.small(4)
  p = lpips.random(jax.random.key(0), layers, lin=False)
  x = normal(2, 8, 8, 3)
  cut, linear = (
    jax.jit(functools.partial(lpips.features, layers, linear=linear))(p, x)
    for linear in (False, True)
  )
  for u, v in zip(cut, linear, strict=True):
    np.testing.assert_array_equal(u, np.maximum(v, 0))
    assert (np.asarray(v) < 0).any()
