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

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods import outputs
from jmim.methods.supervised import _classifier
from jmim.nn import sizes
from jmim.nn.decoders import heads as classifiers
from jmim.nn.nets import vit


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finetune(_classifier.Classifier):
  """Supervised ViT; see the module docstring for the loss."""

  variant: str = field.value("B/16", "ViT size / patch side in pixels")
  width: int = field.value(0, "width; 0: that of variant", low=0)
  depth: int = field.value(0, "blocks; 0: those of variant", low=0)
  heads: int = field.value(0, "heads; 0: those of variant", low=0)
  mlp_ratio: float = field.value(
    0.0, "MLP hidden / width; 0: that of variant", low=0
  )

  @classmethod
  def tiny(cls) -> "Finetune":
    """Two blocks of width 32, 6 classes, nothing mixed.

    Mixing pairs the examples of a micro-batch, so that accumulating would
    not be the same computation; it has tests of its own.
    """
    return cls(
      variant="Ti/4",
      size=16,
      width=32,
      depth=2,
      heads=4,
      classes=6,
      mixup=0.0,
      cutmix=0.0,
    )

  @property
  def encoder(self) -> vit.ViT:
    """Learned positions, no final norm."""
    size, patch = sizes.parse(self.variant)
    size = sizes.override(
      size,
      width=self.width,
      depth=self.depth,
      heads=self.heads,
      mlp_ratio=self.mlp_ratio,
    )
    grid = (self.size // patch,) * 2
    return vit.ViT(
      size=size,
      patch=patch,
      grid=grid,
      positions="learned",
      final_norm=False,
      rt=self.rt,
    )

  @property
  def head(self) -> classifiers.MeanPoolHead:
    """Mean of patch tokens, LayerNorm, linear."""
    return classifiers.MeanPoolHead(self.classes, rt=self.rt)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    sizes.check(self.encoder.size, self.size, self.encoder.patch)
    return self.image_inputs()

  def read(self, latent) -> jax.Array:
    """The patch tokens."""
    return latent[:, 1:]

  def predict(self):
    """logits [b, classes], and outputs of the encoder (see `outputs.vit`)."""
    return self.with_logits(outputs.vit(self.encode, self.encoder.grid))
