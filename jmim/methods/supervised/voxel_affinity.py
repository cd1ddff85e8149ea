r"""Affinities of voxels: fine-tuning for the segmentation of neurons.

Chen et al., ICCV 2025 (TokenUnify); their network with three outputs. (Not
AffinityNet's affinities between pixels, which are `dense.affinity`.)

    a_v^k  = [cell(v) = cell(v - e_k) > 0]        k = z, y, x
    p      = sigmoid net(x)
    loss   = mean w (p - a)^2, or mean w BCE(p, a)  over voxels with a neighbour

with w such that edges within cells and between them weigh the same in every
volume (`balanced`), as far as the share of one kind is at least 0.05, of the
other 0.01. Whole volumes are read in windows of the size trained on, which
overlap by a quarter; `evals.segments` then merges by mean affinity and measures
VOI and ARAND.

Released training is `criterion="mse"`, balanced (WeightedMSE with
weight_binary_ratio, whose limits those are); AdamW, lr 1e-4, batch 8. There the
larger class weighs 1 and errors are divided by the voxels of a batch; here by
the sum of the weights of a volume: another scale.

Reference: VOI 0.995 and ARAND 0.051 on wafer data, from scratch 1.784 and
0.205 (not repeated). Those are of another protocol: Waterz with a quantile of a
histogram of affinities as score, threshold 0.5, windows weighted by a Gaussian;
here mean affinities and windows of equal weight. Weights: family `tokenunify`;
of a run of `mim.tokenunify` by `init_from` with skip=("^main/(next|net/out)/",)
and reinit=("^main/net/out/",).

    python -m jmim.main --config=configs/affinity_membranes.py ...
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import volume_dims
from jmim.methods.parts import volume_windows
from jmim.nn.nets import em_mamba

AXES = 3
SHARES = (0.05, 0.99)  # of edges within cells, limits where these are balanced


def edges(cells: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Whether a voxel and the one before it are of one cell.

  Args:
    cells: int [b, d, h, w]; 0: of none.

  Returns:
    bool [b, d, h, w, 3]; bool [d, h, w, 3]: there is one before it.
  """
  same, there = [], []
  for axis in range(1, AXES + 1):
    same.append((cells == jnp.roll(cells, 1, axis)) & (cells > 0))
    index = jnp.arange(cells.shape[axis]) > 0
    sides = [1] * AXES
    sides[axis - 1] = -1
    there.append(jnp.broadcast_to(index.reshape(sides), cells.shape[1:]))
  there = jnp.stack(there, -1)
  return jnp.stack(same, -1) & there, there


@dataclasses.dataclass(frozen=True, kw_only=True)
class VoxelAffinity(method.Method):
  """Three affinities of every voxel."""

  shape: tuple = field.value((16, 160, 160), "[d, h, w] of a window [voxels]")
  dims: volume_dims.VolumeDims = field.part(
    volume_dims.VolumeDims, "network", was="{}"
  )
  windows: volume_windows.Windows = field.part(
    volume_windows.Windows, "windows of larger volumes"
  )
  ids: int = field.value(
    2**16, "ids of cells are below this; 0: of no cell", low=1
  )
  criterion: str = field.value(
    "bce", "'bce', or 'mse', of the probabilities", choices=("bce", "mse")
  )
  balanced: bool = field.value(
    True, "edges within and between cells weigh the same"
  )

  @classmethod
  def tiny(cls) -> "VoxelAffinity":
    """One stage on 4 x 6 x 6 voxels."""
    dims = dict(widths=(8,), depths=(1,), hidden=8, slices=2, states=4)
    return field.replace(cls(shape=(4, 6, 6), ids=3), dims=dims)

  @property
  def net(self) -> em_mamba.Network:
    """A volume of one channel to three."""
    return self.dims.network(AXES)

  def inputs(self) -> dict[str, method.Input]:
    """Volumes [d, h, w] in [0, 1], and the cell of every voxel."""
    if len(self.shape) != AXES:
      raise ValueError(f"shape={self.shape}: three numbers")
    shape = tuple(self.shape)
    self.dims.check(shape)
    read = functools.partial(method.Input, shape, windowed=True)
    cells = read(dtype=jnp.int32, high=self.ids)
    return {"volume": read(range=(0.0, 1.0)), "cells": cells}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """The network; no extra state."""
    one = batch["volume"][:1, ..., None]
    return {"main": {"net": self.net.init(key, one)["params"]}}, {}

  def outputs(self, weights, volumes: jax.Array) -> volume_dims.Outputs:
    """All that the network makes of [b, *shape]."""
    net = weights.params["main"]["net"]
    return self.dims.outputs(self.net, net, volumes)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean over the edges of every volume, then over volumes.

    Of larger volumes, as evaluators may have, the window in the middle.
    """
    del draws, step, player
    x, cells = (self.middle(batch[name]) for name in ("volume", "cells"))
    logits = self.outputs(weights, x)["out"]
    same, there = edges(cells)
    a, w = same.astype(jnp.float32), there.astype(jnp.float32)
    w = jnp.broadcast_to(w, a.shape)
    total = lambda x: x.sum((1, 2, 3, 4))
    if self.criterion == "mse":
      error = (jax.nn.sigmoid(logits) - a) ** 2
    else:
      error = optax.sigmoid_binary_cross_entropy(logits, a)
    if self.balanced:
      share = jnp.clip(total(w * a) / total(w), *SHARES)
      share = share[:, None, None, None, None]
      w = w * (a / share + (1 - a) / (1 - share))
    right = total(((logits > 0) == same) * there) / there.sum()
    mean = total(w * error) / jnp.maximum(total(w), 1e-9)
    return mean.mean(), {"edges_right": right.mean()}

  def middle(self, x: jax.Array) -> jax.Array:
    """[b, *shape] out of the middle of [b, d, h, w]."""
    for axis, side in enumerate(self.shape, 1):
      start = (x.shape[axis] - side) // 2
      x = jax.lax.slice_in_dim(x, start, start + side, axis=axis)
    return x

  def predict(self) -> dict[str, method.Predict]:
    """affinities [b, d, h, w, 3] of volumes of any size; voxels; features."""
    return {
      "affinities": self.affinities,
      "voxels": lambda weights, batch, key: self.windows.apply(
        lambda x: self.outputs(weights, x)["voxels"],
        batch["volume"],
        tuple(self.shape),
      ),
      "features": lambda weights, batch, key: self.outputs(
        weights, self.middle(batch["volume"])
      )["features"],
    }

  def affinities(self, weights, batch, key) -> jax.Array:
    """[b, d, h, w, 3] in 0 .. 1, the mean of windows."""
    del key
    return self.windows.apply(
      lambda x: jax.nn.sigmoid(self.outputs(weights, x)["out"]),
      batch["volume"],
      tuple(self.shape),
    )
