"""A bidirectional transformer that scores every token of a sequence.

Letters: b batch, l length, k = codes + 1 with [MASK], w width.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import sizes
from jmim.nn.nets import token_dit


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenNetwork:
  """Vocabulary, length and sizes of a network from tokens to logits."""

  codes: int = field.value(
    50_257, "number of tokens; [MASK] is one more, with this id", low=1
  )
  length: int = field.value(1024, "tokens of an example", low=1)
  width: int = field.value(768, "width", low=1)
  depth: int = field.value(12, "blocks", low=1)
  heads: int = field.value(12, "attention heads", low=1)
  mlp_ratio: float = field.value(4.0, "MLP hidden / width", above=0)
  timed: bool = field.value(False, "condition the network on the time")
  rt: runtime.Runtime = field.runtime()

  @property
  def mask_id(self) -> int:
    """Id of [MASK]."""
    return self.codes

  @property
  def net(self) -> token_dit.TokenDiT:
    """The network; [MASK] is one of its ids."""
    return token_dit.TokenDiT(
      size=sizes.Size(
        width=self.width,
        depth=self.depth,
        heads=self.heads,
        mlp_ratio=self.mlp_ratio,
      ),
      vocabulary=self.codes + 1,
      length=self.length,
      timed=self.timed,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """tokens [l], below `codes`.

    Raises:
      ValueError: the heads do not divide the width.
    """
    if self.width % self.heads:
      raise ValueError(f"width {self.width} with heads {self.heads}")
    return {"tokens": method.Input((self.length,), jnp.int32, high=self.codes)}

  def init(self, key: jax.Array) -> method.Tree:
    """Parameters; logits start at 0."""
    x = jnp.zeros((1, self.length), jnp.int32)
    return self.net.init(key, x, jnp.zeros(1))["params"]

  def logits(
    self, params: method.Tree, x: jax.Array, t: jax.Array
  ) -> jax.Array:
    """[b, l, k] float32 of tokens x [b, l] at times t [b]."""
    return self.net.apply({"params": params}, x, t)["logits"]

  def features(self, params: method.Tree, tokens: jax.Array) -> jax.Array:
    """[b, w] float32: mean of the last latents of clean tokens, at time 0."""
    t = jnp.zeros(len(tokens))
    latent = self.net.apply({"params": params}, tokens, t)["latent"]
    return latent.mean(1).astype(jnp.float32)
