"""Redundant tokens are dropped inside an encoder, in stages (Hybrid Distill).

    k_s  = int(n (1 - r)^s)               tokens left after stage s = 1 .. S
    r_i  = mean over live j != i of cos(x_i, x_j)
    keep = the k_s with the smallest r;   at the first stage at random

Stage s is before block int(L (s - 1) / S), counted from 0, of L. The class
token always stays. That there are such stages is the paper's; where they are,
how many tokens they leave and what is dropped is our reconstruction. Letters: b
batch, n patches, k live ones, w width.
"""

import dataclasses
import itertools
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import randomness
from jmim.masks import tokens as masking
from jmim.nn import compress
from jmim.nn.nets import vit

QKV = ("q", "k", "v")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Dropping:
  """How many tokens each stage drops, and which."""

  ratio: float = field.value(
    0.3, "share that each stage drops; 0: none does", low=0.0, below=1.0
  )
  stages: int = field.value(3, "stages, evenly over the blocks", low=1)
  first: str = field.value(
    "random",
    "tokens that the first stage drops, which sees embeddings only",
    choices=("random", "redundant"),
  )

  def stage_counts(self, n: int, depth: int) -> dict[int, int]:
    """Number of the block that a stage is before -> patches it leaves.

    Args:
      n: patches.
      depth: blocks.
    """
    if not self.ratio:
      return {}
    counts = compress.stage_counts(n, self.ratio, self.stages)
    return {depth * s // self.stages: k for s, k in enumerate(counts)}

  def check(self, n: int, depth: int, key: str = "dropping") -> None:
    """Raises ValueError for stages that an encoder has no room for.

    Args:
      n: patches.
      depth: blocks.
      key: of this part in the method, for messages.
    """
    if not self.ratio:
      return
    if self.stages > depth:
      raise ValueError(f"{key}.stages: {self.stages} of {depth} blocks")
    left = compress.stage_counts(n, self.ratio, self.stages)[-1]
    if left < 2:
      raise ValueError(
        f"{key}.ratio {self.ratio} leaves {left} of {n} patches: at least 2"
      )

  def draw(
    self, keys: randomness.Keys, batch: int, n: int
  ) -> dict[str, jax.Array]:
    """Noise [b, n] in [0, 1) of a random first stage; else nothing."""
    if not self.ratio or self.first != "random":
      return {}
    return {"noise": jax.random.uniform(keys("noise"), (batch, n))}

  def kept(
    self, x: jax.Array, count: int, noise: jax.Array | None = None
  ) -> jax.Array:
    """Places [b, count] int32, rising, of the tokens that stay.

    Args:
      x: [b, k, w] live tokens, without cls.
      count: how many stay.
      noise: [b, k], the smallest of which stay; None: the least redundant.
    """
    if noise is None:
      return compress.least_redundant(jax.lax.stop_gradient(x), count)
    return jnp.sort(masking.from_scores(noise, count).keep, axis=1)

  def run(
    self,
    net: vit.ViT,
    params: Any,
    images: jax.Array,
    *,
    noise: jax.Array | None = None,
    tapped: Iterable[int] = (),
  ) -> dict[str, Any]:
    """Runs an encoder on fewer and fewer patches.

    Args:
      net: the encoder.
      params: its parameters.
      images: [b, h, w, c].
      noise: see `draw`; None: the first stage drops redundant tokens, too.
      tapped: numbers of blocks, from 0, whose q, k and v are returned; of the
        others nothing is kept.

    Returns:
      latent [b, prefix + k, w] after the final norm; ids [b, k] int32, rising,
      the patches that are left; layers: number -> q, k, v [b, h, prefix + k,
      w / h] and the ids alive there.
    """
    call = lambda *a, **how: net.apply({"params": params}, *a, **how)
    depth, p, n = net.size.depth, net.prefix, net.grid[0] * net.grid[1]
    tapped, counts = set(tapped), self.stage_counts(n, depth)
    ids = jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32), (len(images), n))
    x, layers = call(images, stop=0)["stream"], {}
    cuts = {0, depth, *counts, *tapped, *(i + 1 for i in tapped)}
    for start, stop in itertools.pairwise(sorted(cuts)):
      if start in counts:
        stay = self.kept(x[:, p:], counts[start], None if start else noise)
        x = jnp.concatenate([x[:, :p], masking.take(x[:, p:], stay)], axis=1)
        ids = jnp.take_along_axis(ids, stay, axis=1)
      taps = QKV if start in tapped else ()
      out = call(stream=x, keep=ids, start=start, stop=stop, taps=taps)
      x = out["stream"]
      if taps:
        layers[start] = {name: out[name][0] for name in QKV} | {"ids": ids}
    return {"latent": out["latent"], "ids": ids, "layers": layers}
