"""A trained ViT classifier, frozen, whose tokens may count differently.

    kind      logits of tokens z of size s
    finetune  W LayerNorm(sum_n s_n z_n / sum_n s_n)   patches (MAE)
    backbone  W LayerNorm(z)_cls                       class token (DeiT)

Of equal sizes these are the networks of `supervised.finetune` and of
`supervised.backbone` with what it has by default, and their parameters.
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import runtime
from jmim.nn import norm
from jmim.nn import sizes
from jmim.nn.decoders import heads
from jmim.nn.nets import vit

KINDS = ("finetune", "backbone")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier:
  """Which one, where it is, and what its head reads."""

  path: str = field.value("", "trained weights: a run or an .npz")
  sha256: str = field.value("", "hash of that file; empty: any")
  kind: str = field.value(
    "finetune",
    "method that holds it: finetune (mean of patches), backbone (class token)",
    choices=KINDS,
  )
  dims: sizes.Dims = field.part(sizes.Dims, "encoder")
  rt: runtime.Runtime = field.runtime()

  @property
  def least(self) -> int:
    """Tokens that its head must have."""
    return 1 if self.kind == "backbone" else 2

  def encoder(self, side: int) -> vit.ViT:
    """The network on images of that side [pixels]."""
    final = self.kind == "backbone"
    return vit.build(
      self.dims, side, positions="learned", final_norm=final, rt=self.rt
    )

  def head(self, classes: int) -> nn.Module:
    """Maps tokens to so many logits."""
    if self.kind == "backbone":
      return heads.PoolHead(classes=classes, pool="cls", prefix=1, rt=self.rt)
    return heads.MeanPoolHead(classes, rt=self.rt)

  def const(self, side: int, classes: int) -> method.Const:
    """Its weights, {"encoder": ..., "head": ...}."""

    def init(key):
      keys, w = jax.random.split(key), self.dims.size.width
      image = jnp.zeros((1, side, side, 3))
      return {
        "encoder": self.encoder(side).init(keys[0], image)["params"],
        "head": self.head(classes).init(keys[1], jnp.zeros((1, 2, w)))[
          "params"
        ],
      }

    return method.Const(
      self.path,
      init,
      self.sha256 or None,
      agrees=self.dims.agrees("method.classifier.dims"),
      implied=sizes.heads,
      key="method.classifier.path",
    )

  def logits(
    self, params: Any, x: jax.Array, share: jax.Array, classes: int
  ) -> jax.Array:
    """[b, classes] float32.

    Args:
      params: as of `const`.
      x: [b, t, w] after the last block, the class token first.
      share: [b, t] how many patches each token counts for; its sum gets no
        gradient.
      classes: of the head.
    """
    if self.kind == "backbone":
      final = norm.layer_norm(self.rt, None)
      x = final.apply({"params": params["encoder"]["norm"]}, x)
    else:
      share = share[:, 1:]
      total = jax.lax.stop_gradient(share.sum(1, keepdims=True))
      x = jnp.einsum("bn,bnw->bw", share / total, x[:, 1:])[:, None]
    return self.head(classes).apply({"params": params["head"]}, x)
