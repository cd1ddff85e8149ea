r"""MAE: Masked Autoencoders Are Scalable Vision Learners.

He, Chen, Xie, Li, Dollár, Girshick, CVPR 2022. Equal to the authors' code
(facebookresearch/mae@efb2a8062c): `tests/golden` compares tokens, latent,
prediction, target, loss and gradients.

A share r of the n patches of an image is hidden; the encoder sees only the
others, and a small decoder predicts the pixels of the hidden ones:

    noise ~ U[0, 1)^n                        draw
    keep  = argsort(noise)[: int(n (1 - r))]
    z     = ViT(x[keep])                     encoder, visible patches
    pred  = Decoder(restore(z, mask_token))
    t     = patchify(x), each patch (t - mean) / sqrt(var + 1e-6) if norm_pix
    loss  = sum_n mask_n mean_d (pred - t)^2 / sum_n mask_n

Reference (ImageNet-1k top-1 %, 1600 epochs, normalised pixels; B/16, L/16 and
H/14): fine-tuned 83.6, 85.9, 86.9; linear probe 68.0, 75.8, 76.6.

Following the released code: the variance of a patch is unbiased; cls and mask
tokens ARE decayed, 1-D parameters are not; visible tokens stay shuffled.
Weights: family `mae`.

    python -m jmim.main --config=configs/mae_digits.py --workdir=runs/digits
    python -m jmim.main --config=configs/mae_imagenet.py:variant=L/16 ...
"""

import dataclasses
from typing import ClassVar

import jax

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods import outputs
from jmim.methods.parts import pixels
from jmim.nn import sizes
from jmim.nn.decoders import mae as decoders
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class MAE(method.Method):
  """Masked autoencoder; see the module docstring for the loss."""

  order: ClassVar[str] = "xy"  # axes of the sin-cos tables

  size: int = field.value(224, "image side [pixels]; width, with height", low=1)
  height: int = field.value(0, "image height [pixels]; 0: size", low=0)
  channels: int = field.value(3, "image channels", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", was="{}")
  decoder_dims: sizes.Blocks = field.part(
    sizes.Blocks, "decoder", was="decoder_{}"
  )
  mask_ratio: float = field.value(
    0.75, "share of patches hidden", low=0.0, below=1.0
  )
  norm_pix: bool = field.value(True, "normalise each target patch")

  @classmethod
  def tiny(cls) -> "MAE":
    """16 patches of a 16-pixel image, two blocks of width 32."""
    return cls(
      size=16,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      decoder_dims=sizes.Blocks(width=16, depth=1, heads=2),
    )

  @property
  def sides(self) -> tuple[int, int]:
    """(height, width) of images [pixels]."""
    return (self.height or self.size, self.size)

  @property
  def grid(self) -> tuple[int, int]:
    """(h, w) in patches."""
    return self.dims.grid(self.sides)

  @property
  def encoder(self) -> vit.ViT:
    """Sees visible patches only."""
    return vit.build(self.dims, self.sides, order=self.order, rt=self.rt)

  @property
  def decoder(self) -> decoders.MaskedDecoder:
    """Predicts the pixels of every patch."""
    return decoders.MaskedDecoder(
      size=self.decoder_dims.size(self.dims.mlp_ratio or 4.0, self.dims.size),
      grid=self.grid,
      out=self.dims.patch**2 * self.channels,
      order=self.order,
      cls=self.encoder.cls,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [height, size, channels]."""
    self.dims.check(*self.sides)
    self.decoder_dims.check(encoder=self.dims.size)
    return {"image": method.Input((*self.sides, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and decoder; no extra state."""
    k_encoder, k_decoder, k_mask = jax.random.split(key, 3)
    image = batch["image"][:1]
    mask = self.mask(self.drawn(k_mask, {"image": image}))
    encoder = self.encoder.init(k_encoder, image, mask.keep)["params"]
    out = self.encoder.apply({"params": encoder}, image, mask.keep)
    decoder = self.decoder.init(k_decoder, out["latent"], mask)["params"]
    return {"main": {"encoder": encoder, "decoder": decoder}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """noise [b, n] ~ U[0, 1): the patches with the smallest are kept."""
    del step
    shape = (len(batch["image"]), self.grid[0] * self.grid[1])
    return {"noise": jax.random.uniform(keys("noise"), shape)}

  def mask(self, draws: method.Draws) -> masking.Mask:
    """The patches kept and hidden under given draws."""
    keep = masking.keep_count(draws["noise"].shape[1], self.mask_ratio)
    return masking.from_scores(draws["noise"], keep)

  def forward(
    self,
    params: method.Tree,
    batch: method.Batch,
    draws: method.Draws,
    taps: tuple[str, ...] = (),
    **some: jax.Array,
  ) -> dict[str, jax.Array]:
    """tokens [b, n, w], latent [b, 1 + k, w], taps, pred [b, n, p*p*c], `mask`.

    Under given draws; some: `valid` [b, k].
    """
    main, mask = params["main"], self.mask(draws)
    out = self.encoder.apply(
      {"params": main["encoder"]}, batch["image"], mask.keep, taps=taps, **some
    )
    decoded = self.decode(main["decoder"], out["latent"], mask, **some)
    return {**out, **decoded, "mask": mask}

  def decode(
    self,
    decoder: method.Tree,
    latent: jax.Array,
    mask: masking.Mask,
    **some: jax.Array,
  ) -> dict[str, jax.Array]:
    """pred [b, n, p*p*c] from the latents of visible patches; some: `valid`."""
    variables = {"params": decoder}
    return {"pred": self.decoder.apply(variables, latent, mask, **some)}

  def target(self, images: jax.Array) -> jax.Array:
    """[b, n, p*p*c] float32 pixels, normalised per patch if `norm_pix`."""
    return pixels.target(images, self.dims.patch, self.norm_pix)

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Mean squared error over the hidden patches."""
    del step, player
    out = self.forward(weights.params, batch, draws)
    return self.reconstruction_loss(out, batch), {}

  def reconstruction_loss(
    self, out: dict[str, jax.Array], batch: method.Batch
  ) -> jax.Array:
    """Mean over the hidden patches of the mean squared error of each."""
    error = (out["pred"] - self.target(batch["image"])) ** 2
    return masking.masked_mean(error.mean(-1), out["mask"].mask)

  def predict(self) -> dict[str, method.Predict]:
    """Outputs of the encoder (see `outputs.vit`), and `reconstruct`."""
    features = outputs.vit(self.encode, self.grid, self.encoder.cls)
    return {**features, "reconstruct": self.reconstruct}

  def encode(
    self,
    weights: method.Weights,
    batch: method.Batch,
    taps: tuple[str, ...] = (),
  ) -> dict[str, jax.Array]:
    """The encoder's outputs for all patches, nothing masked."""
    variables = {"params": weights.params["main"]["encoder"]}
    return self.encoder.apply(variables, batch["image"], taps=taps)

  def reconstruct(self, weights, batch, key) -> dict[str, jax.Array]:
    """image [b, h, w, c], predicted, and mask [b, h, w, 1]; see `pixels`."""
    draws = self.drawn(key, batch)
    return self.picture(self.forward(weights.params, batch, draws), batch)

  def picture(
    self, out: dict[str, jax.Array], batch: method.Batch
  ) -> dict[str, jax.Array]:
    """What `forward` predicted as an image, see `reconstruct`."""
    return pixels.picture(
      out["pred"],
      out["mask"].mask,
      images=batch["image"],
      patch=self.dims.patch,
      normalise=self.norm_pix,
    )

  def groups(self) -> tuple[method.Group, ...]:
    """Besides kernels, cls and mask tokens are decayed (released code)."""
    return (method.Group(pattern=r"/(cls|mask)_token$", decay=1.0),)
