"""A frozen masked autoencoder whose features say what an image should be like.

Zheng et al. 2023 (CUE): features of a restored image and of the true one are
to agree, of visible patches alone. In the released code either image has a
mask of its own, so that features of different places are compared.
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.nn import sizes
from jmim.nn.nets import vit

NAME = "masked_prior"
DIMS = dict(variant="Ti/16", width=256, depth=4, heads=4, mlp_ratio=2.0)
EPS = 1e-5  # of the LayerNorms


def encoder(dims: sizes.Dims, side: int, rt: runtime.Runtime) -> vit.ViT:
  """The ViT of a prior, in its own training too.

  Args:
    dims: size and patch.
    side: of the images [pixels].
    rt: execution choices.
  """
  return vit.build(dims, side, style={"eps": EPS}, rt=rt)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MaskedPrior:
  """Where it is, its size, and what it is shown."""

  path: str = field.value("", "trained prior: a run, or an .npz of its arrays")
  sha256: str = field.value("", "hash of that .npz, or of its arrays; '': any")
  weights: str = field.value(
    "ema", "weights that are read of a run", choices=("raw", "ema")
  )
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", **DIMS)
  mask_ratio: float = field.value(
    0.75, "share of patches hidden", low=0.0, below=1.0
  )
  shared_mask: bool = field.value(
    True, "both images show the same patches; else each its own (released code)"
  )
  rt: runtime.Runtime = field.runtime()

  def const(self, side: int) -> method.Const:
    """Its parameters, of images of a side [pixels]."""
    net = encoder(self.dims, side, self.rt)
    image = jnp.zeros((1, side, side, 3))
    key = "method.prior"
    return method.Const(
      self.path,
      lambda k: net.init(k, image)["params"],
      self.sha256 or None,
      agrees=self.dims.agrees(f"{key}.dims"),
      implied=sizes.heads,
      weights=self.weights,
      key=f"{key}.path",
    )

  def draw(
    self, keys: randomness.Keys, shape: tuple[int, ...]
  ) -> dict[str, jax.Array]:
    """made, and truth unless they share it, [b, n]: the smallest are shown.

    Args:
      keys: of all draws.
      shape: [b, side, side, c] of the images.
    """
    h, w = self.dims.grid(shape[1])
    names = ("made",) if self.shared_mask else ("made", "truth")
    drawn = {name: (shape[0], h * w) for name in names}
    return {n: jax.random.uniform(keys(n), s) for n, s in drawn.items()}

  def features(
    self, params: method.Tree, images: jax.Array, scores: jax.Array
  ) -> jax.Array:
    """[b, 1 + k, w] float32: class token and shown patches, after the norm.

    Args:
      params: of the prior.
      images: [b, side, side, c] in the units of its training.
      scores: [b, n] of `draw`.
    """
    keep = masking.keep_count(scores.shape[1], self.mask_ratio)
    mask = masking.from_scores(scores, keep)
    net = encoder(self.dims, images.shape[1], self.rt)
    out = net.apply({"params": params}, images, mask.keep)
    return out["latent"].astype(jnp.float32)

  def distance(
    self,
    params: method.Tree,
    made: jax.Array,
    truth: jax.Array,
    draws: method.Draws,
  ) -> jax.Array:
    """Mean |features of made - features of truth|, images [b, h, w, c]."""
    first = draws["made"]
    a = self.features(params, made, first)
    b = self.features(params, truth, draws.get("truth", first))
    return jnp.abs(a - b).mean()
