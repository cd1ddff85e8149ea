r"""CRATE-MAE: masked completion via structured diffusion (white-box).

Pai, Buchanan, Wu, Yu, Ma, ICLR 2024. Equal to the authors' code
(Ma-Lab-Berkeley/CRATE@674408fa82): `tests/golden` compares half a block, whole
blocks, latent, prediction, loss and gradients.

MAE (`mim.mae`) with other networks, of which each layer is a step of a known
computation: the encoder compresses tokens towards subspaces (MSSA) and makes
them sparse (ISTA), the decoder undoes it. Mask tokens pass the encoder, too:

    x    = [cls, e(patches) (1 - m) + mask_token m] + sincos        m: MAE's
    h    = x + MSSA(LN x),   x <- ISTA(LN h)              encoder, each layer
    y    = (LN x) W,         x <- y - MSSA(LN y)          decoder, each layer
    loss = sum_n m_n mean_d (pred - t)^2 / sum_n m_n,     pred = A LN x

    MSSA(x) = merge(softmax(w w' / sqrt(d)) w) P + p,     w = x U in heads
    ISTA(x) = relu(x + step ((x - x D') D - threshold))   D' and D: one weight

Outputs per image and layer (`mean`): `rate`, how many nats the tokens take in
the subspaces of the heads (`nn.crate.coding_rate`), and `nonzero`, the share of
numbers that are not 0 after ISTA. `blocks.type=vit` is the same pipeline on
blocks of a ViT.

Reference (top-1 %, fine-tuned on CIFAR-10 / linear probe; the card has them
from memory of the paper, unverified):

    | CRATE-MAE-S | CRATE-MAE-B | ViT-MAE-S   | ViT-MAE-B   |
    | 96.2 / 79.4 | 96.8 / 80.9 | 97.6 / 79.9 | 98.5 / 87.9 |

Following the released code, not the paper: the decoder's weights are its own
(no inverse of the encoder's), the output of MSSA has a projection P with a
bias, which one head alone has not, and every position is encoded. The rate is
that of the released measure: tokens of length 1, 0.01 for eps^2, summed over
the heads; here of all tokens, the class token among them. Weights: family
`crate_mae`.

    python -m jmim.main --config=configs/crate_mae_cifar10.py --workdir=W ...
    python -m jmim.main --config=configs/crate_mae_imagenet.py:variant=S/16 ...
"""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.mim import mae
from jmim.methods.parts import white_box
from jmim.nn import sizes
from jmim.nn.decoders import crate as decoders
from jmim.nn.nets import crate


@dataclasses.dataclass(frozen=True, kw_only=True)
class CrateMAE(mae.MAE):
  """Masked autoencoder whose encoder and decoder are CRATE's."""

  height: ClassVar[int] = 0  # none of its keys: squares only

  decoder_dims: sizes.Blocks = field.redefault(
    mae.MAE, "decoder_dims", width=0, depth=12, heads=0
  )
  blocks: white_box.WhiteBox | white_box.Plain = field.part(
    {"crate": white_box.WhiteBox, "vit": white_box.Plain},
    "blocks of encoder and decoder",
  )

  @classmethod
  def tiny(cls) -> "CrateMAE":
    """16 patches of a 16-pixel image, two layers of width 32 and one."""
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      decoder_dims=sizes.Blocks(width=0, depth=1, heads=0),
    )

  @property
  def layers(self) -> sizes.Size:
    """Of the encoder, one of the published sizes or changed."""
    return self.dims.size_in(crate.SIZES)

  @property
  def encoder(self) -> crate.Encoder:
    """Sees every position, mask tokens among them."""
    return crate.Encoder(
      size=self.layers,
      patch=self.dims.patch,
      grid=self.grid,
      make=self.blocks.encoder(self.layers),
      order=self.order,
      rt=self.rt,
    )

  @property
  def decoder(self) -> decoders.Decoder:
    """Predicts the pixels of every patch."""
    size = self.decoder_dims.size(self.layers.mlp_ratio, self.layers)
    return decoders.Decoder(
      depth=size.depth,
      make=self.blocks.decoder(size),
      out=self.dims.patch**2 * self.channels,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    width = self.layers.width
    sizes.check(self.layers, self.size, self.dims.patch)
    self.blocks.check(self.dims)
    self.decoder_dims.check(encoder=self.layers)
    if self.decoder_dims.width not in (0, width):
      raise ValueError(
        f"decoder_width {self.decoder_dims.width}: nothing is between encoder "
        f"and decoder, whose width is {width} too; 0 follows it"
      )
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and decoder; no extra state."""
    k_encoder, k_decoder = jax.random.split(key)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    latent = self.encoder.apply({"params": encoder}, image)["latent"]
    decoder = self.decoder.init(k_decoder, latent)["params"]
    return {"main": {"encoder": encoder, "decoder": decoder}}, {}

  def forward(
    self,
    params: method.Tree,
    batch: method.Batch,
    draws: method.Draws,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """What the loss and pictures need, under given draws.

    Returns:
      embedded and latent [b, 1 + n, w], taps, pred [b, n, p*p*c] and mask, a
      `masking.Mask`.
    """
    main, mask = params["main"], self.mask(draws)
    out = self.encoder.apply(
      {"params": main["encoder"]},
      batch["image"],
      replaced=mask.mask,
      taps=taps,
    )
    pred = self.decoder.apply({"params": main["decoder"]}, out["latent"])
    return {**out, "pred": pred, "mask": mask}

  def predict(self) -> dict[str, method.Predict]:
    """As MAE; of CRATE's blocks `rate` and `nonzero`, {"block_01": [b], ..}."""
    measures = {name: self._measure(name) for name in self.blocks.measures}
    return {**super().predict(), **measures}

  def _measure(self, name: str) -> method.Predict:
    """Of whole images, layer by layer."""

    def measure(weights, batch, key):
      del key
      layers = self.encode(weights, batch, (name,))[name]  # [layers, b]
      return {f"block_{i + 1:02d}": x for i, x in enumerate(layers)}

    return measure
