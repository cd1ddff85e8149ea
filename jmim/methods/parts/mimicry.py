"""Tokens that mimic the features of teachers (MR-MAE).

    f   = z,  or sum_l P_l h_l over the blocks l of `fuse_layers`
    L_i = mean (H_i(f) - norm(t_i))^2        one linear H_i per teacher

Where nothing is fused there is no P. Letters: b batch, k tokens, w width of the
student, d width of a teacher, l blocks.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.nn import adapters
from jmim.nn import losses


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mimicry:
  """What of a student mimics, and how targets are normalised."""

  target_norm: str = field.value(
    "whiten", "norm of the teachers' features", choices=tuple(losses.TARGETS)
  )
  fuse_layers: tuple = field.value(
    (), "blocks that are fused, from 0, or from -1 downwards; (): the output"
  )
  rt: runtime.Runtime = field.runtime()

  @property
  def taps(self) -> tuple[str, ...]:
    """What the student's encoder has to return as well, see `block.Block`."""
    return ("block",) if self.fuse_layers else ()

  def check(self, depth: int, key: str = "mimicry") -> None:
    """Raises ValueError for layers that a student of that depth lacks."""
    for number in self.fuse_layers:
      if not -depth <= number < depth:
        raise ValueError(f"{key}.fuse_layers: {number} of {depth} blocks")

  def init(
    self, key: jax.Array, width: int, teachers: Mapping[str, int]
  ) -> dict[str, Any]:
    """`heads` H by the name of a teacher, and `fusion` P by place.

    Args:
      key: random key.
      width: w of the student.
      teachers: name -> d; none: there are no parameters.
    """
    if not teachers:
      return {}
    k_heads, k_fusion = jax.random.split(key)
    made = {"heads": self._maps(k_heads, width, teachers)}
    if self.fuse_layers:
      places = {str(i): width for i in range(len(self.fuse_layers))}
      made["fusion"] = self._maps(k_fusion, width, places)
    return made

  def features(
    self, params: Any, latent: jax.Array, blocks: jax.Array | None = None
  ) -> jax.Array:
    """f [b, k, w].

    Args:
      params: has what `init` made.
      latent: z [b, k, w], the student's output.
      blocks: [l, b, k, w] raw outputs of its blocks, where they are fused.
    """
    if not self.fuse_layers:
      return latent
    return sum(
      self._map(params["fusion"][str(i)], blocks[number], latent.shape[-1])
      for i, number in enumerate(self.fuse_layers)
    )

  def distances(
    self, params: Any, f: jax.Array, targets: Mapping[str, jax.Array]
  ) -> dict[str, jax.Array]:
    """L_i by the name of the teacher.

    Args:
      params: has what `init` made.
      f: [b, k, w].
      targets: name -> [b, k, d] features of the same tokens, not normalised.
    """

    def distance(name, t):
      h = self._map(params["heads"][name], f, t.shape[-1])
      error = h.astype(jnp.float32) - losses.TARGETS[self.target_norm](t)
      return (error**2).mean()

    return {name: distance(name, t) for name, t in targets.items()}

  def _map(self, params: Any, x: jax.Array, width: int) -> jax.Array:
    """A linear map of tokens to that width."""
    return adapters.Align(width, rt=self.rt).apply({"params": params}, x)

  def _maps(self, key, width, outputs):
    """Fresh parameters by name, of maps to these widths."""
    keys = jax.random.split(key, len(outputs))
    x = jnp.zeros((1, width))
    return {
      name: adapters.Align(out, rt=self.rt).init(k, x)["params"]
      for k, (name, out) in zip(keys, outputs.items(), strict=True)
    }
