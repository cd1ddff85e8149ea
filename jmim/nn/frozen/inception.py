"""InceptionV3 as the FID graph has it (TensorFlow, 2015-12-05).

Not torchvision's network: average pooling leaves the padding out of its mean,
the last block pools with a maximum, and there are 1008 classes. Names are
those of the published PyTorch port of the graph (pytorch-fid), so its weights
fit; a weight file is an .npz of them (`python -m jmim.tools.inception_npz`).
Everything is float32.
"""

import functools
import math
from collections.abc import Iterator
from collections.abc import Mapping

import jax
import jax.numpy as jnp

SIDE = 299  # pixels
CLASSES = 1008
POOLED = 2048
SPATIAL = 7  # channels of the spatial features of sFID
EPS = 1e-3
WIDTH = "width of the block"

Arrays = Mapping[str, jax.Array]
Layer = tuple[str, int, int, tuple[int, int]]  # name, in, out, kernel

_STEM = (
  ("Conv2d_1a_3x3", 3, 32, (3, 3)),
  ("Conv2d_2a_3x3", 32, 32, (3, 3)),
  ("Conv2d_2b_3x3", 32, 64, (3, 3)),
  ("Conv2d_3b_1x1", 64, 80, (1, 1)),
  ("Conv2d_4a_3x3", 80, 192, (3, 3)),
)
# block -> (kind, input channels, its own width)
_BLOCKS = {
  "Mixed_5b": ("A", 192, 32),
  "Mixed_5c": ("A", 256, 64),
  "Mixed_5d": ("A", 288, 64),
  "Mixed_6a": ("B", 288, 0),
  "Mixed_6b": ("C", 768, 128),
  "Mixed_6c": ("C", 768, 160),
  "Mixed_6d": ("C", 768, 160),
  "Mixed_6e": ("C", 768, 192),
  "Mixed_7a": ("D", 768, 0),
  "Mixed_7b": ("E", 1280, 0),
  "Mixed_7c": ("E", 2048, 0),
}
# kind -> branches; a branch is a chain of (name, out, kernel, stride), its
# out may be WIDTH: that of the block. A nested tuple of layers is a fork: all
# read the same.
_KINDS = {
  "A": (
    (("branch1x1", 64, (1, 1), 1),),
    (("branch5x5_1", 48, (1, 1), 1), ("branch5x5_2", 64, (5, 5), 1)),
    (
      ("branch3x3dbl_1", 64, (1, 1), 1),
      ("branch3x3dbl_2", 96, (3, 3), 1),
      ("branch3x3dbl_3", 96, (3, 3), 1),
    ),
    ("average", ("branch_pool", WIDTH, (1, 1), 1)),
  ),
  "B": (
    (("branch3x3", 384, (3, 3), 2),),
    (
      ("branch3x3dbl_1", 64, (1, 1), 1),
      ("branch3x3dbl_2", 96, (3, 3), 1),
      ("branch3x3dbl_3", 96, (3, 3), 2),
    ),
    ("shrink",),
  ),
  "C": (
    (("branch1x1", 192, (1, 1), 1),),
    (
      ("branch7x7_1", WIDTH, (1, 1), 1),
      ("branch7x7_2", WIDTH, (1, 7), 1),
      ("branch7x7_3", 192, (7, 1), 1),
    ),
    (
      ("branch7x7dbl_1", WIDTH, (1, 1), 1),
      ("branch7x7dbl_2", WIDTH, (7, 1), 1),
      ("branch7x7dbl_3", WIDTH, (1, 7), 1),
      ("branch7x7dbl_4", WIDTH, (7, 1), 1),
      ("branch7x7dbl_5", 192, (1, 7), 1),
    ),
    ("average", ("branch_pool", 192, (1, 1), 1)),
  ),
  "D": (
    (("branch3x3_1", 192, (1, 1), 1), ("branch3x3_2", 320, (3, 3), 2)),
    (
      ("branch7x7x3_1", 192, (1, 1), 1),
      ("branch7x7x3_2", 192, (1, 7), 1),
      ("branch7x7x3_3", 192, (7, 1), 1),
      ("branch7x7x3_4", 192, (3, 3), 2),
    ),
    ("shrink",),
  ),
  "E": (
    (("branch1x1", 320, (1, 1), 1),),
    (
      ("branch3x3_1", 384, (1, 1), 1),
      (("branch3x3_2a", 384, (1, 3), 1), ("branch3x3_2b", 384, (3, 1), 1)),
    ),
    (
      ("branch3x3dbl_1", 448, (1, 1), 1),
      ("branch3x3dbl_2", 384, (3, 3), 1),
      (
        ("branch3x3dbl_3a", 384, (1, 3), 1),
        ("branch3x3dbl_3b", 384, (3, 1), 1),
      ),
    ),
    ("pool", ("branch_pool", 192, (1, 1), 1)),
  ),
}


def layers() -> Iterator[Layer]:
  """Every convolution: name, channels in and out, kernel (height, width)."""
  yield from _STEM
  for block, (kind, channels, block_width) in _BLOCKS.items():
    for branch in _KINDS[kind]:
      width = channels
      for part in branch:
        if isinstance(part, str):
          continue
        forks = part if isinstance(part[0], tuple) else (part,)
        for name, out, kernel, _ in forks:
          out = block_width if out == WIDTH else out
          yield f"{block}.{name}", width, out, kernel
        width = out


def shapes() -> dict[str, tuple[int, ...]]:
  """Name -> shape of every array of a weight file, in the PyTorch layout."""
  arrays = {}
  for name, n_in, out, kernel in layers():
    arrays[f"{name}.conv.weight"] = (out, n_in, *kernel)
    for part in ("weight", "bias", "running_mean", "running_var"):
      arrays[f"{name}.bn.{part}"] = (out,)
  arrays |= {"fc.weight": (CLASSES, POOLED), "fc.bias": (CLASSES,)}
  return arrays


def _pool(x, reduce, start, stride, padding):
  pad = ((0, 0), (padding,) * 2, (padding,) * 2, (0, 0))
  return jax.lax.reduce_window(
    x, start, reduce, (1, 3, 3, 1), (1, stride, stride, 1), pad
  )


def _maximum(x, stride, padding):
  return _pool(x, jax.lax.max, start=-jnp.inf, stride=stride, padding=padding)


def _average(x):
  """3 x 3, stride 1, the padding left out of the mean."""
  count = _pool(
    jnp.ones_like(x[:1, ..., :1]), jax.lax.add, start=0.0, stride=1, padding=1
  )
  return _pool(x, jax.lax.add, start=0.0, stride=1, padding=1) / count


def _convolve(w, x, stride, padding):
  """w [out, in, h, w] as stored, x [b, h, w, c]."""
  return jax.lax.conv_general_dilated(
    x,
    w,
    (stride, stride),
    [(p, p) for p in padding],
    dimension_numbers=("NHWC", "OIHW", "NHWC"),
    precision="highest",
  )


def _normalise(p, name, x):
  part = lambda n: p[f"{name}.bn.{n}"]
  scale = part("weight") / jnp.sqrt(part("running_var") + EPS)
  return (x - part("running_mean")) * scale + part("bias")


def _conv(p, name, x, kernel, stride, same):
  padding = [k // 2 if same else 0 for k in kernel]
  y = _convolve(p[f"{name}.conv.weight"], x, stride, padding)
  return jax.nn.relu(_normalise(p, name, y))


def _branch(p, block, branch, x):
  for part in branch:
    if part == "average":
      x = _average(x)
    elif part == "pool":  # only the very last block takes the maximum
      x = _maximum(x, 1, 1) if block == "Mixed_7c" else _average(x)
    elif part == "shrink":
      x = _maximum(x, 2, 0)
    else:
      forks = part if isinstance(part[0], tuple) else (part,)
      ways = [
        _conv(
          p,
          f"{block}.{name}",
          x=x,
          kernel=kernel,
          stride=stride,
          same=stride == 1,
        )
        for name, _, kernel, stride in forks
      ]
      x = jnp.concatenate(ways, -1)
  return x


def forward(p: Arrays, x: jax.Array) -> dict[str, jax.Array]:
  """The network.

  Args:
    p: arrays named and laid out as `shapes` says.
    x: [b, 299, 299, 3] in -1 .. 1.

  Returns:
    pool3: [b, 2048], the features of FID.
    spatial: [b, 17 * 17 * 7], of sFID: the first 7 channels of the 1 x 1
      branch of block Mixed_6d ("mixed_6/conv" of the graph, after its ReLU).
    logits: [b, 1008].
  """
  for name, _, _, kernel in _STEM:
    stride, same = 1 + (name == "Conv2d_1a_3x3"), name == "Conv2d_2b_3x3"
    x = _conv(p, name, x=x, kernel=kernel, stride=stride, same=same)
    if name in ("Conv2d_2b_3x3", "Conv2d_4a_3x3"):
      x = _maximum(x, 2, 0)
  for block, (kind, _, _) in _BLOCKS.items():
    x = jnp.concatenate([_branch(p, block, b, x) for b in _KINDS[kind]], -1)
    if block == "Mixed_6d":
      spatial = x[..., :SPATIAL].reshape(len(x), -1)
  pooled = x.mean((1, 2))
  logits = jnp.dot(pooled, p["fc.weight"].T, precision="highest")
  return {"pool3": pooled, "spatial": spatial, "logits": logits + p["fc.bias"]}


@functools.partial(jax.jit, static_argnames="side")
def prepare(images: jax.Array, side: int = SIDE) -> jax.Array:
  """uint8 [b, h, w, 3 or 1] -> [b, side, side, 3] in -1 .. 1, as pytorch-fid.

  Bilinear, half-pixel centres, no antialiasing; grey becomes three channels.
  """
  x = images.astype(jnp.float32) / 255
  x = jnp.broadcast_to(x, (*x.shape[:-1], 3))
  shape = (len(x), side, side, 3)
  return 2 * jax.image.resize(x, shape, "bilinear", antialias=False) - 1


def count() -> int:
  """Numbers in a weight file."""
  return sum(math.prod(shape) for shape in shapes().values())
