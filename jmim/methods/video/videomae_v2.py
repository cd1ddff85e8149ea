r"""VideoMAE V2: scaling video masked autoencoders with dual masking.

Wang, Huang, Zhao, Tong, He, Wang, Wang, Qiao, CVPR 2023. Equal to the authors'
code (OpenGVLab/VideoMAEv2@29eab1e8a5): `tests/golden` compares latent,
prediction, targets, weights, loss, gradients, cell masks and positions.

The encoder sees a tenth of the tubelets of a clip, the same cells at all times;
the decoder names only half of the positions, in a pattern that runs through
2x2 cells, and is scored where the encoder saw nothing:

    E     = int(0.9 h w) cells hidden at every step ("tube")     draw
    D     = positions left out: q[(k + phase + t + 1) mod 4]     draw
    z     = ViT(x[not E])                       2 x p x p tubelets, no cls
    pred  = Decoder(W z + pos, mask_token + pos[not D])[the latter]
    t     = pixels in [0, 1], minus mean over sqrt(unbiased variance) + 1e-6,
            of each tubelet AND channel
    loss  = sum w mean_d (pred - t)^2 / sum w,  w = 1 on E and not D

Without decoder masking (`decoder_ratio=0`) D is "not E": plain VideoMAE.

Reference (fine-tuned top-1 %): ViT-g K400 88.4 (with K710), SSv2 77.0, UCF101
99.6; ViT-B distilled K400 86.6.

Following the released code: positions are one interleaved sinusoid over the
flattened index; q and v have biases, k has none; the HIDDEN count is rounded
down; only kernels are decayed. Repeated sampling (4 clips per video) is
`data.repeat_samples`; rates are per video. Weights: family `videomae_v2`.

    python -m jmim.main --config=configs/videomae_v2_k400.py:variant=B/16 ...
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.masks import tokens as masking
from jmim.nn import block
from jmim.nn import sizes
from jmim.nn.nets import video

DECODERS = {"Ti": (96, 3), "S": (192, 3), "B": (384, 6)}  # width, heads
LARGE = (512, 8)  # of L, H and g


@dataclasses.dataclass(frozen=True, kw_only=True)
class VideoMAE(method.Method):
  """Video masked autoencoder with a mask for encoder and decoder."""

  variant: str = field.value("B/16", "encoder size / patch side; g/14")
  size: int = field.value(224, "frame side in pixels", low=1)
  frames: int = field.value(16, "frames of a clip", low=1)
  tubelet: int = field.value(2, "frames in a token", low=1)
  width: int = field.value(0, "encoder width; 0: that of variant", low=0)
  depth: int = field.value(0, "encoder blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "encoder heads; 0: those of variant", low=0)
  decoder_width: int = field.value(0, "0: that of variant", low=0)
  decoder_depth: int = field.value(4, "decoder blocks", low=0)
  decoder_heads: int = field.value(0, "0: those of variant", low=0)
  mask_ratio: float = field.value(0.9, "cells hidden", low=0.0, below=1.0)
  mask: str = field.value("tube", "or each token", choices=("tube", "random"))
  decoder_ratio: float = field.value(
    0.5,
    "share of positions not decoded; 0: decode what is hidden",
    low=0.0,
    high=0.75,
  )
  normalise: bool = field.value(True, "targets per tubelet and channel")
  cosine: bool = field.value(False, "cosine attention")
  layer_scale: float = field.value(0.0, "LayerScale; 0: none", low=0.0)
  drop_path: float = field.value(0.0, "of the last encoder block", low=0.0)
  mean: tuple = field.value((0.485, 0.456, 0.406), "of the clips given")
  std: tuple = field.value((0.229, 0.224, 0.225), "of the clips given")

  @classmethod
  def tiny(cls) -> "VideoMAE":
    """8 frames of 2 x 2 cells, half of them hidden."""
    return cls(
      variant="Ti/4",
      size=8,
      frames=8,
      width=32,
      depth=2,
      heads=4,
      decoder_width=16,
      decoder_depth=1,
      decoder_heads=2,
      mask_ratio=0.5,
    )

  @property
  def patch(self) -> int:
    """Side of a tubelet in pixels."""
    return sizes.parse(self.variant)[1]

  @property
  def grid(self) -> tuple[int, int, int]:
    """(steps, rows, columns) of tokens."""
    side = self.size // self.patch
    return self.frames // self.tubelet, side, side

  @property
  def counts(self) -> tuple[int, int]:
    """Tokens the encoder sees, positions the decoder fills."""
    t, h, w = self.grid
    hidden = int(self.mask_ratio * h * w)
    decoded = t * (4 - int(4 * self.decoder_ratio)) * h * w // 4
    return t * (h * w - hidden), decoded if self.decoder_ratio else t * hidden

  @property
  def encoder(self) -> video.Encoder:
    """Sees visible tubelets only."""
    own = {k: getattr(self, k) for k in ("width", "depth", "heads")}
    size, how = (
      sizes.custom(self.variant, **own),
      (self.layer_scale, self.cosine),
    )
    return video.Encoder(size, self.tubelet, self.patch, *how, rt=self.rt)

  @property
  def decoder(self) -> video.Decoder:
    """Fills positions."""
    width, heads = DECODERS.get(self.variant.split("/")[0], LARGE)
    size = sizes.Size(
      width=self.decoder_width or width,
      depth=self.decoder_depth,
      heads=self.decoder_heads or heads,
    )
    t, h, w = self.grid
    out = 3 * self.tubelet * self.patch**2
    how = (self.layer_scale, self.cosine)
    return video.Decoder(size, t * h * w, out, *how, rt=self.rt)

  def inputs(self):
    """Normalised clips [frames, size, size, 3]."""
    p = self.patch
    sizes.check(self.encoder.size, self.size, p, table=False)
    sizes.check(self.decoder.size, self.size, p, "decoder_", table=False)
    if self.frames % self.tubelet:
      raise ValueError(f"frames {self.frames} in tubelets of {self.tubelet}")
    if int(4 * self.decoder_ratio) and self.grid[1] % 2:
      raise ValueError(f"size {self.size} has no even grid for decoder_ratio")
    return {"video": method.Input((self.frames, self.size, self.size, 3))}

  def init(self, key, batch):
    """Parameters of encoder and decoder; no extra state."""
    k_encoder, k_decoder = jax.random.split(key)
    ids = jnp.zeros((1, 1), int)
    encoder = self.encoder.init(k_encoder, batch["video"][:1], ids)["params"]
    latent = jnp.zeros((1, 1, self.encoder.size.width))
    decoder = self.decoder.init(k_decoder, latent, ids, ids)["params"]
    return {"main": {"encoder": encoder, "decoder": decoder}}, {}

  def draw(self, key, batch, step):
    """E and D [b, n] bool (hidden, not decoded) and drop path."""
    k_mask, k_phase, k_drop = jax.random.split(key, 3)
    b, (t, h, w), n = len(batch["video"]), self.grid, self.decoder.tokens
    if self.mask == "tube":
      scores = jax.random.uniform(k_mask, (b, h * w))
      hidden = video.tube(scores, self.mask_ratio, t)
    else:
      scores = jax.random.uniform(k_mask, (b, n))
      hidden = masking.from_scores(scores, self.counts[0]).mask > 0
    left = ~hidden
    if self.decoder_ratio:
      phase = jax.random.randint(k_phase, (b,), 0, 4)
      left = video.running_cell(phase, self.decoder_ratio, t, (h, w))
    depth = self.encoder.size.depth
    drop = block.drop_path_draw(k_drop, self.drop_path, depth, b)
    return {"hidden": hidden, "left": left, **drop}

  def target(self, clips, ids) -> jax.Array:
    """[b, m, f*p*p*3] float32, of the tubelets `ids` [b, m]."""
    x = video.tubelets(clips, self.tubelet, self.patch)
    x = masking.take(x, ids).astype(jnp.float32)
    x = x.reshape(*ids.shape, -1, 3)
    x = x * jnp.asarray(self.std) + jnp.asarray(self.mean)
    if self.normalise:
      std = jnp.sqrt(x.var(2, ddof=1, keepdims=True))
      x = (x - x.mean(2, keepdims=True)) / (std + 1e-6)
    return x.reshape(*ids.shape, -1)

  def forward(self, params, batch, draws) -> dict[str, jax.Array]:
    """latent [b, k, w], pred and target [b, m, d], weight [b, m], ids."""
    main, clips, (k, m) = params["main"], batch["video"], self.counts
    keep = masking.from_booleans(draws["hidden"], k).keep
    wanted = masking.from_booleans(draws["left"], m).keep
    z = self.encoder.apply(
      {"params": main["encoder"]}, clips, keep, block.drop_path_of(draws)
    )
    pred = self.decoder.apply({"params": main["decoder"]}, z, keep, wanted)
    weight = jnp.take_along_axis(draws["hidden"], wanted, axis=1)
    return {
      "latent": z,
      "pred": pred,
      "ids": wanted,
      "target": self.target(clips, wanted),
      "weight": weight.astype(jnp.float32),
    }

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Weighted mean squared error of the decoded, hidden positions."""
    out = self.forward(params, batch, draws)
    error = ((out["pred"] - out["target"]) ** 2).mean(-1)
    return masking.masked_mean(error, out["weight"]), {}

  def predict(self):
    """features [b, w]: mean of all tokens of whole clips."""
    return {
      "features": lambda p, e, c, b, k: self.encoder.apply(
        {"params": p["main"]["encoder"]}, b["video"]
      ).mean(1)
    }
