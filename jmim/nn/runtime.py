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
    remat: "none" | "dots" | "full": what the backward pass recomputes.
    attention: "einsum" | "xla" | "cudnn", see `nn.attention.attend`.
    mesh: device mesh that activations are constrained to; None: do nothing.
    batch_axes: mesh axes over which the batch dimension is split.
  """

  dtype: Any = jnp.float32
  scan: bool = False
  unroll: int = 1
  remat: str = "none"
  attention: str = "einsum"
  mesh: jax.sharding.Mesh | None = None
  batch_axes: tuple[str, ...] = ()

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
