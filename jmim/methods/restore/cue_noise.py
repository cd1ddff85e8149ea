r"""CUE's prior of noise: a masked autoencoder that draws gradients.

Zheng, Zhou, Zhang, Yu, Zhao, ICCV 2023. An MAE (`mim.mae`) whose target is the
picture of histograms of oriented gradients of the image, so that its features
tell noise and edges from each other and not light from dark. Equal to the
authors' code (zheng980629/CUE@1682c22): `tests/golden` compares prediction,
mask, latent and loss.

    noise ~ U[0, 1)^n                              draw
    keep  = argsort(noise)[: int(n (1 - r))]
    pred  = Decoder(restore(ViT(x[keep])))         one channel
    t     = patchify(HOG(x)), scaled to 0 .. 1     `nn/hog.py`
    loss  = sum_n mask_n mean_d (pred - t)^2 / sum_n mask_n

Reference: none for the prior alone; `restore.cue` reads its encoder.

Following the released code: LayerNorms with eps 1e-5, r = 0.5, patches as they
are. Its configuration leaves open which images are read; the paper says normal
light, and x is both input and origin of the target here. target "pixels" is the
baseline of equal size that the claim compares with. Weights: family
`cue_noise`.

    python -m jmim.main --config=configs/cue_cifar10.py:stage=noise --workdir=P
    python -m jmim.tools.claim cue
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.mim import mae
from jmim.methods.parts import masked_prior
from jmim.methods.parts import perturbed
from jmim.methods.parts import pixels
from jmim.nn import hog
from jmim.nn import sizes
from jmim.nn.decoders import mae as decoders
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class CueNoise(mae.MAE):
  """Masked autoencoder of oriented gradients."""

  height: ClassVar[int] = 0  # none of its keys: squares only

  dims: sizes.Dims = field.part(sizes.Dims, "encoder", **masked_prior.DIMS)
  decoder_dims: sizes.Blocks = field.part(
    sizes.Blocks, "decoder", width=256, depth=4, heads=2
  )
  mask_ratio: float = field.redefault(mae.MAE, "mask_ratio", 0.5)
  norm_pix: bool = field.redefault(mae.MAE, "norm_pix", False)
  target_of: str = field.value(
    "hog",
    "picture that is predicted: oriented gradients, or the image itself",
    choices=("hog", "pixels"),
  )
  cell: int = field.value(16, "side of a cell of gradients [pixels]", low=2)
  bins: int = field.value(
    hog.BINS, "directions that gradients are told apart by", low=1
  )

  @classmethod
  def tiny(cls) -> "CueNoise":
    """The tiny MAE with cells of a patch."""
    small = super().tiny()
    return dataclasses.replace(small, cell=4)

  @property
  def encoder(self) -> vit.ViT:
    """Sees visible patches only."""
    return masked_prior.encoder(self.dims, self.size, self.rt)

  @property
  def decoder(self) -> decoders.MaskedDecoder:
    """Predicts the picture in every patch."""
    shown = 1 if self.target_of == "hog" else self.channels
    out = self.dims.patch**2 * shown
    return super().decoder.clone(out=out, eps=masked_prior.EPS)

  def inputs(self) -> dict[str, method.Input]:
    """Images [size, size, channels] in 0 .. 1."""
    if self.target_of == "hog" and self.cell > self.size:
      raise ValueError(
        f"cell {self.cell} is larger than size {self.size}: the picture would "
        "be black"
      )
    (shape,) = (x.shape for x in super().inputs().values())
    return {"image": method.Input(shape, range=(0.0, 1.0))}

  def shown(self, images: jax.Array) -> jax.Array:
    """[b, h, w, 1 or c] float32: the picture that is predicted."""
    if self.target_of == "pixels":
      return images.astype(jnp.float32)
    return hog.picture(images, self.cell, self.bins)

  def target(self, images: jax.Array) -> jax.Array:
    """[b, n, p*p*(1 or c)] float32."""
    return pixels.target(self.shown(images), self.dims.patch, self.norm_pix)

  def predict(self) -> dict[str, method.Predict]:
    """As MAE, and distances."""
    return {**super().predict(), "distances": self.distances}

  def picture(
    self, out: dict[str, jax.Array], batch: method.Batch
  ) -> dict[str, jax.Array]:
    """What `forward` predicted, and target [b, h, w, c], in grey."""
    shown = self.shown(batch["image"])
    made = super().picture(out, {"image": shown})
    like = lambda x: jnp.broadcast_to(x, batch["image"].shape)
    return {**made, "image": like(made["image"]), "target": like(shown)}

  def distances(self, weights, batch, key) -> dict[str, jax.Array]:
    """[b] each: how far tokens move in noise and in less light."""
    tokens = lambda x: self.encode(weights, {"image": x})["latent"]
    numbers = method.numbers(batch)
    return perturbed.distances(tokens, batch["image"], key, numbers)
