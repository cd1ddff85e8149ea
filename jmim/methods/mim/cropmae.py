r"""CropMAE: image pre-training with siamese cropped masked autoencoders.

Eymaël, Vandeghen, Cioppa, Giancola, Ghanem, Van Droogenbroeck, ECCV 2024.
Equal to the authors' code (alexandre-eymael/CropMAE@5d0dab2), dropout off:
`tests/golden` compares both latents, prediction, mask, loss and a gradient.

SiamMAE without video: a global crop stays visible, a local crop of that crop
is rebuilt from 2 of its 196 patches by looking it up in the global one:

    x_0, x_1 = views: global crop (source), local crop (target)
    keep  = the int(n (1 - r)) patches of x_1 with the smallest noise
    z_0   = ViT(x_0),  z_1 = ViT(x_1[keep])                    shared weights
    h     = restore(E z_1, mask_token) + positions,  memory E z_0 without
    block: h <- LN2(h + Cross(h, memory)); h <- LN3(h + MLP(h));
           h <- LN1(h + Self(h))
    loss  = sum_n mask_n mean_d (pred - t)^2 / sum_n mask_n

t: pixels of x_1, normalised per patch with the unbiased variance. SiamMAE is
the same network with two frames and r = 0.95.

Reference (ViT-S/16, 400 epochs of ImageNet; DAVIS J&F, VIP mIoU, JHMDB
PCK@0.1): 60.4, 33.3, 43.6. Decoders: S 256 wide, 4 blocks, 8 heads; B 512, 8,
16; L 1024, 12, 16 (the published runs keep 256, 4, 8).

Following the released code: post-norm blocks with cross- before self-attention
and an MLP 2048 wide whatever the width; the two views are flipped
independently. What differs: dropout acts on the branches and the hidden
layer, not on attention weights. `strategy`: which view is masked
(ForeignToLocal: the source is another image's, to see whether it is used); two
independent crops (RandomViews) are `data.nested=False`. Weights:
family `cropmae`.

    python -m jmim.main --config=configs/cropmae_imagenet.py ...
    python -m jmim.main --config=configs/cropmae_cifar10.py --workdir=W ...
"""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods.mim import mae
from jmim.nn import dropout
from jmim.nn import sizes
from jmim.nn.decoders import cross

# strategy -> (source, target) among the views, examples between them.
STRATEGIES = {
  "GlobalToLocal": (0, 1, 0),
  "LocalToGlobal": (1, 0, 0),
  "SameViews": (0, 0, 0),
  "ForeignToLocal": (0, 1, 1),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class CropMAE(mae.MAE):
  """Siamese masked autoencoder over two crops."""

  height: ClassVar[int] = 0  # none of its keys: squares only

  dims: sizes.Dims = field.redefault(mae.MAE, "dims", variant="S/16")
  decoder_dims: sizes.Blocks = field.redefault(
    mae.MAE, "decoder_dims", width=256, depth=4, heads=8
  )
  decoder_mlp: int = field.value(
    2048, "hidden width of the decoder's MLPs", low=1
  )
  dropout: float = field.value(
    0.1, "dropout in the decoder", low=0.0, below=1.0
  )
  mask_ratio: float = field.redefault(mae.MAE, "mask_ratio", 0.985)
  strategy: str = field.value(
    "GlobalToLocal",
    "views that are source and target",
    choices=tuple(STRATEGIES),
  )

  @classmethod
  def tiny(cls) -> "CropMAE":
    """The tiny MAE with half of the patches visible."""
    return dataclasses.replace(super().tiny(), mask_ratio=0.5, decoder_mlp=32)

  @property
  def decoder(self) -> cross.CrossDecoder:
    """Reconstructs the target from what it finds in the source."""
    return cross.CrossDecoder(
      size=self.decoder_dims.size(encoder=self.dims.size),
      grid=self.grid,
      out=self.dims.patch**2 * self.channels,
      hidden=self.decoder_mlp,
      rate=self.dropout,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Two normalised views [2, size, size, channels]."""
    image = super().inputs()["image"]
    return {"views": method.Input((2, *image.shape))}

  def views(self, batch: method.Batch) -> tuple[jax.Array, jax.Array]:
    """Source and target [b, size, size, channels]."""
    source, target, apart = STRATEGIES[self.strategy]
    views = batch["views"]
    return jnp.roll(views[:, source], apart, axis=0), views[:, target]

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and decoder; no extra state."""
    k_encoder, k_decoder, k_mask = jax.random.split(key, 3)
    batch = {"views": batch["views"][:1]}
    source, _ = self.views(batch)
    mask = self.mask(self.drawn(k_mask, batch))
    encoder = self.encoder.init(k_encoder, source)["params"]
    n, w = self.grid[0] * self.grid[1], self.dims.size.width
    latents = (jnp.zeros((1, 1 + k, w)) for k in (mask.keep.shape[1], n))
    decoder = self.decoder.init(k_decoder, *latents, mask)["params"]
    return {"main": {"encoder": encoder, "decoder": decoder}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, n] ~ U[0, 1) and dropout keys [b, 2]."""
    views = batch["views"]
    noise = super().draw(keys, {"image": views[:, 0]}, step)
    drop = dropout.draw(keys("dropout"), self.dropout, len(views))
    return {**noise, **drop}

  def forward(
    self,
    params: method.Tree,
    batch: method.Batch,
    draws: method.Draws,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """source [b, 1 + n, w], latent [b, 1 + k, w], pred [b, n, d], mask."""
    main, mask = params["main"], self.mask(draws)
    source, target = self.views(batch)
    encoder = {"params": main["encoder"]}
    memory = self.encoder.apply(encoder, source)["latent"]
    out = self.encoder.apply(encoder, target, mask.keep, taps=taps)
    pred = self.decoder.apply(
      {"params": main["decoder"]},
      out["latent"],
      memory,
      mask,
      keys=draws.get("dropout"),
    )
    return {**out, "source": memory, "pred": pred, "mask": mask}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean squared error over the hidden patches of the target."""
    del step, player
    out = self.forward(weights.params, batch, draws)
    _, target = self.views(batch)
    return self.reconstruction_loss(out, {"image": target}), {}

  def encode(
    self,
    weights: method.Weights,
    batch: method.Batch,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """The encoder's outputs for all patches of view 0."""
    return super().encode(weights, {"image": batch["views"][:, 0]}, taps)

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, h, w, c] of the target, and mask [b, h, w, 1]."""
    _, target = self.views(batch)
    return super().reconstruct(weights, {**batch, "image": target}, key)
