"""InceptionV3 of the FID graph against PyTorch, written from the layer table.

Skipped where PyTorch is absent.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.nn.frozen import inception


def weights(seed=0):
  """Random arrays of the published names, of a scale that keeps signals."""
  rng, found = np.random.default_rng(seed), {}
  for name, shape in inception.shapes().items():
    if name.endswith(("conv.weight", "fc.weight")):
      scale = np.sqrt(2 / np.prod(shape[1:]))
      value = scale * rng.standard_normal(shape, np.float32)
    elif name.endswith("running_var"):
      value = rng.uniform(0.5, 1.5, shape)
    elif name.endswith("bn.weight"):
      value = rng.uniform(0.8, 1.2, shape)
    else:
      value = 0.1 * rng.standard_normal(shape, np.float32)
    found[name] = value.astype(np.float32)
  return found


def test_the_table_is_that_of_the_published_file():
  found = inception.shapes()
  convolutions = [n for n in found if n.endswith("conv.weight")]
  assert len(convolutions) == 94
  assert found["Mixed_7c.branch3x3dbl_3b.conv.weight"] == (384, 384, 3, 1)
  assert found["Mixed_6c.branch7x7dbl_3.conv.weight"] == (160, 160, 1, 7)
  assert found["Mixed_5c.branch_pool.conv.weight"] == (64, 256, 1, 1)


def reference(torch, p, x):
  """The graph in PyTorch; x [b, 3, h, w] in -1 .. 1."""
  f = torch.nn.functional

  def conv(name, x, stride=1, padding=0):
    y = f.conv2d(x, p[f"{name}.conv.weight"], None, stride, padding=padding)
    bn = [
      p[f"{name}.bn.{n}"]
      for n in ("running_mean", "running_var", "weight", "bias")
    ]
    return f.relu(f.batch_norm(y, *bn, training=False, eps=0.001))

  def average(x):
    return f.avg_pool2d(x, 3, 1, 1, count_include_pad=False)

  def a(n, x):
    one = conv(f"{n}.branch1x1", x)
    five = conv(f"{n}.branch5x5_2", conv(f"{n}.branch5x5_1", x), 1, 2)
    three = conv(f"{n}.branch3x3dbl_2", conv(f"{n}.branch3x3dbl_1", x), 1, 1)
    three = conv(f"{n}.branch3x3dbl_3", three, 1, 1)
    return torch.cat(
      [one, five, three, conv(f"{n}.branch_pool", average(x))], 1
    )

  def b(n, x):
    three = conv(f"{n}.branch3x3dbl_2", conv(f"{n}.branch3x3dbl_1", x), 1, 1)
    three = conv(f"{n}.branch3x3dbl_3", three, 2)
    return torch.cat(
      [conv(f"{n}.branch3x3", x, 2), three, f.max_pool2d(x, 3, 2)], 1
    )

  def c(n, x):
    wide, high = (0, 3), (3, 0)
    seven = conv(f"{n}.branch7x7_2", conv(f"{n}.branch7x7_1", x), 1, wide)
    seven = conv(f"{n}.branch7x7_3", seven, 1, high)
    twice = conv(f"{n}.branch7x7dbl_1", x)
    for i, padding in ((2, high), (3, wide), (4, high), (5, wide)):
      twice = conv(f"{n}.branch7x7dbl_{i}", twice, 1, padding)
    return torch.cat(
      [
        conv(f"{n}.branch1x1", x),
        seven,
        twice,
        conv(f"{n}.branch_pool", average(x)),
      ],
      1,
    )

  def d(n, x):
    three = conv(f"{n}.branch3x3_2", conv(f"{n}.branch3x3_1", x), 2)
    seven = conv(f"{n}.branch7x7x3_1", x)
    seven = conv(f"{n}.branch7x7x3_2", seven, 1, (0, 3))
    seven = conv(f"{n}.branch7x7x3_3", seven, 1, (3, 0))
    seven = conv(f"{n}.branch7x7x3_4", seven, 2)
    return torch.cat([three, seven, f.max_pool2d(x, 3, 2)], 1)

  def e(n, x, pooled):
    three = conv(f"{n}.branch3x3_1", x)
    twice = conv(f"{n}.branch3x3dbl_2", conv(f"{n}.branch3x3dbl_1", x), 1, 1)
    return torch.cat(
      [
        conv(f"{n}.branch1x1", x),
        conv(f"{n}.branch3x3_2a", three, 1, (0, 1)),
        conv(f"{n}.branch3x3_2b", three, 1, (1, 0)),
        conv(f"{n}.branch3x3dbl_3a", twice, 1, (0, 1)),
        conv(f"{n}.branch3x3dbl_3b", twice, 1, (1, 0)),
        conv(f"{n}.branch_pool", pooled),
      ],
      1,
    )

  x = conv("Conv2d_2a_3x3", conv("Conv2d_1a_3x3", x, 2))
  x = f.max_pool2d(conv("Conv2d_2b_3x3", x, 1, 1), 3, 2)
  x = conv("Conv2d_4a_3x3", conv("Conv2d_3b_1x1", x))
  x = f.max_pool2d(x, 3, 2)
  for n in ("5b", "5c", "5d"):
    x = a(f"Mixed_{n}", x)
  x = b("Mixed_6a", x)
  for n in ("6b", "6c", "6d", "6e"):
    if n == "6d":  # by itself, not as a part of the block
      spatial = conv("Mixed_6d.branch1x1", x)[:, :7]
    x = c(f"Mixed_{n}", x)
  x = d("Mixed_7a", x)
  x = e("Mixed_7b", x, average(x))
  x = e("Mixed_7c", x, f.max_pool2d(x, 3, 1, 1))
  pooled = x.mean((2, 3))
  logits = pooled @ p["fc.weight"].T + p["fc.bias"]
  return pooled, spatial.permute(0, 2, 3, 1).flatten(1), logits


def test_equal_to_an_independent_implementation():
  torch = pytest.importorskip("torch")
  arrays = weights()
  images = np.random.default_rng(1).integers(0, 256, (2, 40, 40, 3))
  images = images.astype(np.uint8)
  side = 139  # the network takes any from 75 on; 299 only costs more
  prepared = inception.prepare(jnp.asarray(images), side)
  x = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
  x = (
    2
    * torch.nn.functional.interpolate(
      x, size=(side, side), mode="bilinear", align_corners=False
    )
    - 1
  )
  np.testing.assert_allclose(prepared, x.permute(0, 2, 3, 1).numpy(), atol=1e-5)
  with torch.no_grad():
    p = {n: torch.from_numpy(v) for n, v in arrays.items()}
    want = [y.numpy() for y in reference(torch, p, x)]
  got = jax.jit(inception.forward)(arrays, prepared)
  for name, reference_value in zip(
    ("pool3", "spatial", "logits"), want, strict=True
  ):
    scale = np.abs(reference_value).max()
    np.testing.assert_allclose(
      got[name], reference_value, atol=1e-4 * scale, err_msg=name
    )
