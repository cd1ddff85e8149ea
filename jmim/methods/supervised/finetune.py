r"""Fine-tuning of a ViT for classification, the recipe of MAE.

He et al., CVPR 2022 (main_finetune of facebookresearch/mae@efb2a8062c); equal
to it: `tests/golden` compares mixed images, targets, logits, loss, parameter
groups and one AdamW step with layer-wise rates.

    x'     = l x + (1 - l) rev(x)  or a box of rev(x) pasted into x    draw
    y'     = l hot(y) + (1 - l) hot(rev(y)),  hot smoothed by s
    z      = ViT(x'), positions trained, no final norm, drop path
    logits = W LayerNorm(mean_n z_n) + b                patch tokens, no cls
    loss   = -sum_c y'_c log softmax(logits)_c

l ~ Beta(a, a); each batch is mixed (mixup, a = 0.8) or cut (cutmix, a = 1)
with probability 1/2; l of a cut batch is the share that stays. rev(x) is the
reversed batch (timm's batch mode), of the micro-batch when accumulating.

Start from a pre-trained encoder with `config.init_from` (decoder and final
norm skipped; head and positions fresh: the table is the sin-cos one); layer
decay is `optim.layer_decay`, label-free augmentation is `config.data`.

Reference (ImageNet-1k top-1 %): B/16 83.6, L/16 85.9, H/14 86.9, with
RandAugment and random erasing, which are `data.randaugment`, `.erase_share`.

    python -m jmim.main --config=configs/finetune_digits.py --workdir=... \
      --config.init_from.path=runs/digits
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import method
from jmim.data import mix
from jmim.nn import block
from jmim.nn import heads as classifiers
from jmim.nn import outputs
from jmim.nn import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetune(method.Method):
  """Supervised ViT; see the module docstring for the loss."""

  variant: str = method.field("B/16", "ViT size / patch side in pixels")
  size: int = method.field(224, "image side in pixels", low=1)
  channels: int = method.field(3, "image channels", low=1)
  classes: int = method.field(1000, "number of classes", low=2)
  width: int = method.field(0, "width; 0: that of variant", low=0)
  depth: int = method.field(0, "blocks; 0: those of variant", low=0)
  heads: int = method.field(0, "heads; 0: those of variant", low=0)
  mlp_ratio: float = method.field(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )
  drop_path: float = method.field(
    0.1, "rate of the last block, rising from 0", low=0, below=1
  )
  mixup: float = method.field(0.8, "a of mixup's Beta; 0: none", low=0)
  cutmix: float = method.field(1.0, "a of cutmix's Beta; 0: none", low=0)
  smoothing: float = method.field(0.1, "label smoothing s", low=0, below=1)

  @classmethod
  def tiny(cls) -> "Finetune":
    """Two blocks of width 32, 6 classes, nothing mixed.

    Mixing pairs the examples of a micro-batch, so that accumulating would
    not be the same computation; it has tests of its own.
    """
    return cls(
      variant="Ti/4", size=16, width=32, depth=2, heads=4, classes=6,
      mixup=0.0, cutmix=0.0,
    )  # fmt: skip

  @property
  def encoder(self) -> vit.ViT:
    """Learned positions, no final norm."""
    size, patch = vit.parse(self.variant)
    size = vit.override(
      size, width=self.width, depth=self.depth, heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )  # fmt: skip
    grid = (self.size // patch,) * 2
    return vit.ViT(
      size, patch, grid, positions="learned", final_norm=False, rt=self.rt
    )

  @property
  def head(self) -> classifiers.MeanPoolHead:
    """Mean of patch tokens, LayerNorm, linear."""
    return classifiers.MeanPoolHead(self.classes, rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    vit.check(self.encoder.size, self.size, self.encoder.patch)
    return {
      "image": method.Input((self.size, self.size, self.channels)),
      "label": method.Input((), jnp.int32, high=self.classes),
    }

  def init(self, key, batch):
    """Parameters of encoder and head; no extra state."""
    k_encoder, k_head = jax.random.split(key)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    latent = self.encoder.apply({"params": encoder}, image)["latent"]
    head = self.head.init(k_head, latent[:, 1:])["params"]
    return {"main": {"encoder": encoder, "head": head}}, {}

  def draw(self, key, batch, step):
    """What is mixed how, and which residual branches are dropped.

    Returns:
      cut: bool, cutmix instead of mixup; lam: share of the own image under
      mixup; box [1, 4] int32 (y0, y1, x0, x1) pasted under cutmix; drop
      [b, depth, 2] factors.
    """
    del step
    k_cut, k_mix, k_box, k_place, k_drop = jax.random.split(key, 5)
    beta = lambda k, a: jax.random.beta(k, a, a) if a else jnp.float32(1)  # noqa: E731
    b, *side = batch["image"].shape[:3]
    share = self.cutmix and (0.5 if self.mixup else 1.0)
    centre = jnp.floor(jax.random.uniform(k_place, (2,)) * jnp.asarray(side))
    box, _ = mix.cutmix_box(
      beta(k_box, self.cutmix), centre.astype(jnp.int32), side
    )
    rates = block.drop_path_rates(self.drop_path, self.encoder.size.depth)
    drop = block.drop_path_scales(k_drop, rates, b)
    return {
      "cut": jax.random.uniform(k_cut) < share,
      "lam": beta(k_mix, self.mixup),
      "box": box[None],
      "drop": einops.rearrange(drop, "l two b -> b l two"),
    }

  def mixed(self, batch, draws) -> tuple[jax.Array, jax.Array]:
    """Images [b, h, w, c] and targets [b, classes] under given draws."""
    x, box = batch["image"], draws["box"][0]
    kept = mix.kept_share(box, x.shape[1:3])
    lam = jnp.where(draws["cut"], kept, draws["lam"])
    x = jnp.where(draws["cut"], mix.cutmix(x, box), mix.mixup(x, draws["lam"]))
    return x, mix.soft_targets(
      batch["label"], lam, self.classes, self.smoothing
    )

  def logits(self, params, images, drop=None) -> jax.Array:
    """[b, classes] float32."""
    main = params["main"]
    if drop is not None:
      drop = einops.rearrange(drop, "b l two -> l two b")
    out = self.encoder.apply({"params": main["encoder"]}, images, drop=drop)
    return self.head.apply({"params": main["head"]}, out["latent"][:, 1:])

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Soft cross entropy of the mixed batch."""
    del player, extra, consts, step
    images, targets = self.mixed(batch, draws)
    logits = self.logits(params, images, draws["drop"])
    return classifiers.soft_cross_entropy(logits, targets), {}

  def predict(self):
    """logits [b, classes], and outputs of the encoder (see `outputs.vit`)."""
    found = outputs.vit(self.encode, self.encoder.grid)
    return {
      **found, "logits": lambda p, e, c, b, k: self.logits(p, b["image"])
    }  # fmt: skip

  def encode(self, params, batch, taps=()) -> dict[str, jax.Array]:
    """The encoder's outputs, nothing dropped."""
    variables = {"params": params["main"]["encoder"]}
    return self.encoder.apply(variables, batch["image"], taps=taps)
