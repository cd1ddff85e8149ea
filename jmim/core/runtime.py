"""How a network is run, kept apart from what it computes."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

P = jax.sharding.PartitionSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
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
    flat: "none" | "all": products that see tokens as [b * t, w], see
      `nn.dense`.
    pad_tokens: token counts of masked encoders and decoders are filled up to
      a multiple of this, with tokens that nothing attends to.
    attention: "einsum" | "xla" | "cudnn" | "flash", see
      `nn.attention.attend`.
    experts: "dense" | "ragged", see `nn.moe`.
    mesh: device mesh that activations are constrained to; None: do nothing.
    batch_axes: mesh axes over which the batch dimension is split.
  """

  dtype: Any = jnp.float32
  scan: bool = False
  unroll: int = 1
  remat: str = "none"
  remat_save: tuple[str, ...] = ()
  remat_offload: tuple[str, ...] = ()
  flat: str = "none"
  pad_tokens: int = 1
  attention: str = "einsum"
  experts: str = "dense"
  mesh: jax.sharding.Mesh | None = None
  batch_axes: tuple[str, ...] = ()

  def ways(self, *axes: str) -> int:
    """Devices along these axes of the mesh; one it lacks counts as 1."""
    known = {} if self.mesh is None else self.mesh.shape
    return math.prod(known.get(axis, 1) for axis in axes)

  def shard(self, x: jax.Array) -> jax.Array:
    """Pins dimension 0 of `x` to the batch axes, the others to no axis.

    Without it the compiler may follow the sharding of the parameters and
    replicate the batch on every chip. A batch that does not divide (the one
    example of initialisation, the rest of a test set) is left alone.
    """
    return self.constrain(x, self.batch_axes)

  def constrain(self, x: jax.Array, *axes: Any) -> jax.Array:
    """Pins the first dimensions of `x` to these axes, the others to none.

    Args:
      x: any array.
      *axes: per dimension the name of an axis, several, or None.
    """
    if self.mesh is None:
      return x
    names = [(a,) if isinstance(a, str) else a or () for a in axes]
    if any(n % self.ways(*a) for n, a in zip(x.shape, names, strict=False)):
      return x
    spec = P(*axes, *[None] * (x.ndim - len(axes)))
    sharding = jax.sharding.NamedSharding(self.mesh, spec)
    return jax.lax.with_sharding_constraint(x, sharding)

  def on_batch(
    self, fn: Callable[..., jax.Array], *arrays: jax.Array
  ) -> jax.Array:
    """fn of arrays, computed by each device on its part of the batch.

    For what the compiler would gather whole on every chip, Fourier transforms
    for one. A batch that does not divide is computed as it comes.

    Args:
      fn: of arrays whose dimension 0 is the batch, to one such; examples do
        not depend on each other.
      *arrays: what it reads.
    """
    ways = self.ways(*self.batch_axes)
    if self.mesh is None or any(len(x) % ways for x in arrays):
      return fn(*arrays)
    split = P(self.batch_axes)
    return jax.shard_map(
      fn,
      mesh=self.mesh,
      in_specs=(split,) * len(arrays),
      out_specs=split,
      check_vma=False,
    )(*arrays)

  def shard_dim(self, x: jax.Array, dim: int, batch: bool = True) -> jax.Array:
    """Pins dimension `dim` to the mesh axis `tensor`, 0 to the batch axes.

    Nothing without such an axis, or where `dim` does not divide by it.

    Args:
      x: activations, or (batch=False) parameters, of any shape.
      dim: the dimension of the heads, or of the hidden width.
      batch: whether dimension 0 is the batch.
    """
    ways = self.ways("tensor")
    if ways == 1 or x.shape[dim] % ways:
      return x
    entries: list[Any] = [None] * x.ndim
    if batch and x.shape[0] % self.ways(*self.batch_axes) == 0:
      entries[0] = self.batch_axes
    entries[dim] = "tensor"
    sharding = jax.sharding.NamedSharding(self.mesh, P(*entries))
    return jax.lax.with_sharding_constraint(x, sharding)
