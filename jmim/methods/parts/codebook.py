"""A table of codes: the nearest stands for a vector (van den Oord et al. 2017).

    q   = nearest code of z
    L_q = mean (sg(q) - z)^2 + beta mean (q - sg(z))^2        `legacy`
          beta mean (sg(q) - z)^2 + mean (q - sg(z))^2        else

With `ema` the codes are no parameters: they follow the means of the vectors
they stand for, and L_q is beta mean (sg(q) - z)^2; a code that is used less
often than `restart` times per batch starts again at a vector of the batch.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import vq


@dataclasses.dataclass(frozen=True, kw_only=True)
class Codebook:
  """Size, losses, and whether gradients or averages move it."""

  codes: int = field.value(8192, "size of the codebook", low=2)
  beta: float = field.value(0.25, "weight of the smaller term", low=0.0)
  legacy: bool = field.value(True, "beta on the codebook's side")
  ema: float = field.value(
    0.0,
    "decay of a codebook of moving averages; 0: by gradient",
    low=0.0,
    below=1.0,
  )
  restart: float = field.value(
    0.0, "least use of a code per batch (with ema); 0: no restart", low=0.0
  )

  def check(self) -> None:
    """Raises ValueError for fields that do not go together."""
    if self.restart and not self.ema:
      raise ValueError("restart without ema: codes are parameters there")

  def extra(self, codes: jax.Array) -> dict[str, jax.Array]:
    """What a codebook [k, c] of moving averages keeps."""
    n = jnp.ones(self.codes)
    return {"codes": codes, "used": n, "total": jnp.copy(codes)}

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """With `restart`: pick [codes], a vector for each, and row [b].

    Args:
      keys: of the step.
      shape: (b, vectors of an example).
    """
    if not self.restart:
      return {}
    b, places = shape
    pick = jax.random.randint(keys("pick"), (self.codes,), 0, b * places)
    return {"pick": pick, "row": jnp.arange(b)}

  def quantise(
    self, codes: jax.Array, z: jax.Array
  ) -> tuple[jax.Array, jax.Array, jax.Array]:
    """(q with the gradient of z, ids [b, h, w], L_q) of [b, h, w, c]."""
    ids = vq.nearest(z, codes)
    q = codes[ids]
    codebook, commitment = vq.losses(z, q)
    if self.ema:
      loss = self.beta * commitment
    elif self.legacy:
      loss = commitment + self.beta * codebook
    else:
      loss = self.beta * commitment + codebook
    return vq.straight_through(z, q), ids, loss

  def statistics(
    self, z: jax.Array, ids: jax.Array, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """With `ema`: use of the codes, and candidates to start again at [k, c].

    Of micro-batches each has the candidates among its own rows, else 0.
    """
    if not self.ema:
      return {}
    count, total = vq.statistics(z, ids, self.codes)
    if not self.restart:
      return {"count": count, "sum": total}
    row = draws.get("row", jnp.arange(len(z)))
    picked, candidates = vq.picked(z, draws["pick"], row)
    return dict(count=count, sum=total, picked=picked, candidates=candidates)

  def moved(self, extra: method.Tree, aux: method.Tree) -> method.Tree:
    """New `extra` from that of a step and its `statistics`."""
    old, new = (extra["used"], extra["total"]), (aux["count"], aux["sum"])
    state = vq.update(old, new, extra["codes"], self.ema)
    if self.restart:
      # A mean over micro-batches, of which one has the vector.
      candidates = aux["candidates"] / aux["picked"][:, None]
      state = vq.restart(state, candidates, self.restart)
    return dict(zip(("used", "total", "codes"), state, strict=True))
