r"""VideoMAE V2: scaling video masked autoencoders with dual masking.

Wang, Huang, Zhao, Tong, He, Wang, Wang, Qiao, CVPR 2023. Equal to the authors'
code (OpenGVLab/VideoMAEv2@29eab1e8a5): `tests/golden` compares latent,
prediction, targets, weights, loss, gradients, cell masks and positions.

The encoder sees a tenth of the tubelets of a clip, the same cells at all times;
the decoder predicts only half of the positions, in a pattern that runs through
2x2 cells, and is scored where the encoder saw nothing:

    E     = int(0.9 h w) cells hidden at every step ("tube")     draw
    D     = positions left out: q[(k + phase + t + 1) mod 4]     draw
    z     = ViT(x[not E])                       2 x p x p tubelets, no cls
    pred  = Decoder(W z + pos, mask_token + pos[not D])[the latter]
    t     = pixels in [0, 1], minus mean over sqrt(unbiased variance) + 1e-6,
            of each tubelet AND channel
    loss  = sum w mean_d (pred - t)^2 / sum w,  w = 1 on E and not D

Without decoder masking (`masks.decoder_ratio=0`) D is "not E": plain VideoMAE.

Reference (fine-tuned top-1 %): ViT-g K400 88.4 (with K710), SSv2 77.0, UCF101
99.6; ViT-B distilled K400 86.6.

Following the released code: decoders are 384 wide with 6 heads behind B, 512
and 8 behind L, H and g (`decoder_dims` of 0); positions are one interleaved
sinusoid over the flattened index; q and v have biases, k has none; the HIDDEN
count is rounded down; only kernels are decayed. Repeated sampling (4 clips per
video) is `data.repeat_samples`; rates are per video. Weights: family
`videomae_v2`.

    python -m jmim.main --config=configs/videomae_v2_k400.py:variant=B/16 ...
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.methods.parts import dual_masks
from jmim.methods.parts import pixels
from jmim.nn import block
from jmim.nn import sizes
from jmim.nn.nets import video

# Width and heads of the decoder behind each size of encoder.
DECODERS = {"Ti": (96, 3), "S": (192, 3), "B": (384, 6)}
LARGE = (512, 8)  # L, H and g


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoMAE(method.Method):
  """Video masked autoencoder with a mask for encoder and decoder."""

  size: int = field.value(224, "frame side [pixels]", low=1)
  frames: int = field.value(16, "frames of a clip", low=1)
  tubelet: int = field.value(2, "frames in a token", low=1)
  dims: sizes.Dims = field.part(sizes.Dims, "encoder", was="{}")
  decoder_dims: sizes.Blocks = field.part(
    sizes.Blocks, "decoder", was="decoder_{}", width=0, depth=4, heads=0
  )
  masks: dual_masks.Masks = field.part(dual_masks.Masks, "masks", was="{}")
  normalise: bool = field.value(True, "normalise tubelets and channels")
  cosine: bool = field.value(False, "cosine attention")
  layer_scale: float = field.value(0.0, "initial LayerScale; 0: none", low=0.0)
  drop_path: float = field.value(0.0, "drop path of the last block", low=0.0)
  mean: tuple = field.value((0.485, 0.456, 0.406), "mean of normalisation")
  std: tuple = field.value((0.229, 0.224, 0.225), "std of normalisation")

  @classmethod
  def tiny(cls) -> "VideoMAE":
    """8 frames of 2 x 2 cells, half of them hidden."""
    return cls(
      size=8,
      frames=8,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      decoder_dims=sizes.Blocks(width=16, depth=1, heads=2),
      masks=dual_masks.Masks(mask_ratio=0.5),
    )

  @property
  def grid(self) -> tuple[int, int, int]:
    """(steps, rows, columns) of tokens."""
    return self.frames // self.tubelet, *self.dims.grid(self.size)

  @property
  def encoder(self) -> video.Encoder:
    """Sees visible tubelets only."""
    return video.Encoder(
      size=self.dims.size,
      frames=self.tubelet,
      patch=self.dims.patch,
      layer_scale=self.layer_scale,
      cosine=self.cosine,
      rt=self.rt,
    )

  @property
  def decoder(self) -> video.Decoder:
    """Predicts positions."""
    width, heads = DECODERS.get(self.dims.variant.split("/")[0], LARGE)
    usual = dataclasses.replace(self.dims.size, width=width, heads=heads)
    return video.Decoder(
      size=self.decoder_dims.size(self.dims.mlp_ratio or 4.0, usual),
      grid=self.grid,
      out=3 * self.tubelet * self.dims.patch**2,
      layer_scale=self.layer_scale,
      cosine=self.cosine,
      rt=self.rt,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised clips [frames, size, size, 3]."""
    self.dims.check(self.size, table=False)
    sizes.check(self.decoder.size, 1, 1, "decoder_", table=False)
    if self.frames % self.tubelet:
      raise ValueError(f"frames {self.frames} in tubelets of {self.tubelet}")
    self.masks.check(self.grid)
    return {"video": method.Input((self.frames, self.size, self.size, 3))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Parameters of encoder and decoder; no extra state."""
    k_encoder, k_decoder = jax.random.split(key)
    ids = jnp.zeros((1, 1), int)
    encoder = self.encoder.init(k_encoder, batch["video"][:1], ids)["params"]
    latent = jnp.zeros((1, 1, self.dims.size.width))
    decoder = self.decoder.init(k_decoder, latent, ids, ids)["params"]
    return {"main": {"encoder": encoder, "decoder": decoder}}, {}

  def draw(self, keys, batch, step) -> method.Draws:
    """E and D [b, n] bool (hidden, left: not decoded) and drop path."""
    del step
    b, depth = len(batch["video"]), self.dims.size.depth
    drop = block.drop_path_draw(keys("drop"), self.drop_path, depth, b)
    return {**self.masks.draw(keys, b, self.grid), **drop}

  def target(self, clips: jax.Array, ids: jax.Array) -> jax.Array:
    """[b, m, f*p*p*3] float32, of the tubelets `ids` [b, m]."""
    x = video.tubelets(clips, self.tubelet, self.dims.patch)
    x = masking.take(x, ids).astype(jnp.float32)
    return pixels.tubelet_target(x, self.mean, self.std, self.normalise)

  def forward(
    self, params: method.Tree, batch: method.Batch, draws: method.Draws
  ) -> dict[str, jax.Array]:
    """latent [b, k, w], pred and target [b, m, d], weight [b, m], ids."""
    main, clips = params["main"], batch["video"]
    k, m = self.masks.counts(self.grid)
    keep = masking.from_booleans(draws["hidden"], k).keep
    ids = masking.from_booleans(draws["left"], m).keep  # decoded positions
    z = self.encoder.apply(
      {"params": main["encoder"]}, clips, keep, block.drop_path_of(draws)
    )
    pred = self.decoder.apply({"params": main["decoder"]}, z, keep, ids)
    weight = jnp.take_along_axis(draws["hidden"], ids, axis=1)
    return {
      "latent": z,
      "pred": pred,
      "ids": ids,
      "target": self.target(clips, ids),
      "weight": weight.astype(jnp.float32),
    }

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Weighted mean squared error of the decoded, hidden positions."""
    del step, player
    out = self.forward(weights.params, batch, draws)
    error = ((out["pred"] - out["target"]) ** 2).mean(-1)
    return masking.masked_mean(error, out["weight"]), {}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w], of whole clips."""
    return {"features": self.features}

  def features(self, weights, batch, key) -> jax.Array:
    """[b, w] mean of all tokens of whole clips."""
    del key
    variables = {"params": weights.params["main"]["encoder"]}
    return self.encoder.apply(variables, batch["video"]).mean(1)
