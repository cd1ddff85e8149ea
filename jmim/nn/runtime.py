"""How a network is run, kept apart from what it computes."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp

P = jax.sharding.PartitionSpec


@dataclasses.dataclass(frozen=True)
class Runtime:
  """Execution choices handed to every module; none changes the result.

  (Up to rounding: `dtype` and `attention` change the last bits.)

  Attributes:
    dtype: dtype of matmuls and of the residual stream. Parameters, softmax,
      normalisation statistics and losses are float32 whatever it says.
    scan: run repeated blocks as `lax.scan` (compiles fast) instead of
      unrolled (runs faster on CPU). The parameter layout is the same.
    unroll: blocks per scan iteration.
    remat: "none" | "dots" | "full" | "names": what the backward pass
      recomputes, see `nn.stack.policy`.
    remat_save: with "names": tensors of a block that are kept, not recomputed.
    remat_offload: with "names": tensors kept in the memory of the host.
    pad_tokens: token counts of masked encoders and decoders are filled up to
      a multiple of this, with tokens that nothing attends to.
    attention: "einsum" | "xla" | "cudnn", see `nn.attention.attend`.
    mesh: device mesh that activations are constrained to; None: do nothing.
    batch_axes: mesh axes over which the batch dimension is split.
  """

  dtype: Any = jnp.float32
  scan: bool = False
  unroll: int = 1
  remat: str = "none"
  remat_save: tuple[str, ...] = ()
  remat_offload: tuple[str, ...] = ()
  pad_tokens: int = 1
  attention: str = "einsum"
  mesh: jax.sharding.Mesh | None = None
  batch_axes: tuple[str, ...] = ()

  def ways(self, axis: str) -> int:
    """Devices along a mesh axis; 1 where there is none."""
    return 1 if self.mesh is None else self.mesh.shape.get(axis, 1)

  def shard(self, x: jax.Array) -> jax.Array:
    """Pins dimension 0 of `x` to the batch axes, the others to no axis.

    Without it the compiler may follow the sharding of the parameters and
    replicate the batch on every chip. A batch that does not divide (the one
    example of initialisation, the rest of a test set) is left alone.
    """
    if self.mesh is None:
      return x
    ways = math.prod(self.mesh.shape[a] for a in self.batch_axes)
    if x.shape[0] % ways:
      return x
    spec = P(self.batch_axes, *[None] * (x.ndim - 1))
    sharding = jax.sharding.NamedSharding(self.mesh, spec)
    return jax.lax.with_sharding_constraint(x, sharding)

  def split(self, x: jax.Array, dim: int, batch: bool = True) -> jax.Array:
    """Pins dimension `dim` to the mesh axis `tensor`, 0 to the batch axes.

    Nothing without such an axis, or where `dim` does not divide by it.

    Args:
      x: activations, or (batch=False) parameters.
      dim: heads, or the hidden width.
      batch: whether dimension 0 is the batch.
    """
    ways = self.ways("tensor")
    if ways == 1 or x.shape[dim] % ways:
      return x
    entries: list[Any] = [None] * x.ndim
    shards = math.prod(self.mesh.shape[a] for a in self.batch_axes)
    if batch and x.shape[0] % shards == 0:
      entries[0] = self.batch_axes
    entries[dim] = "tensor"
    sharding = jax.sharding.NamedSharding(self.mesh, P(*entries))
    return jax.lax.with_sharding_constraint(x, sharding)
