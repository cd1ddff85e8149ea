r"""Swin transformer with a linear classifier.

Liu, Lin, Cao, Hu, Wei, Zhang, Lin, Guo, ICCV 2021. Attention inside windows
that move by half a window in every second block; between stages 2 x 2 tokens
become one of twice the width. It fine-tunes what `mim.simmim` pre-trains with
a Swin, and holds the classifiers of timm and Transformers (`jmim.convert`).
Mixing, drop path and loss are those of `finetune`:

    z      = Swin(x')                                    [n, 8 w] of 4 stages
    logits = W mean_n z_n + b
    loss   = -sum_c y'_c log softmax(logits)_c           x', y' mixed

Reference (ImageNet-1k top-1 %, 224 px): trained from scratch T 81.3, S 83.0, B
83.5; B after SimMIM's 800 epochs 84.0 (192 px). Proven by agreement with the
networks of timm and Transformers (`tests/convert`), not by goldens.

Windows must divide the grid of each stage, or be all of it; no padding.

    python -m jmim.convert --from=timm_swin --weights=DIR --out=runs/swin
    python -m jmim.main --config=configs/swin_cifar10.py --workdir=... \
      --config.init_from.path=runs/swin
"""

import dataclasses

from jmim.core import field
from jmim.core import method
from jmim.methods import outputs
from jmim.methods.supervised import _classifier
from jmim.methods.supervised import backbone
from jmim.nn import initialise
from jmim.nn.nets import swin


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swin(_classifier.Classifier):
  """Windows, shifts, merging; mean of the last tokens, linear."""

  variant: str = field.value("SwinT/4", "SwinT, S, B, L / patch in pixels")
  width: int = field.value(0, "first width; 0: that of variant", low=0)
  depths: tuple = field.value((), "blocks per stage; (): those of variant")
  heads: tuple = field.value((), "heads per stage; (): those of variant")
  mlp_ratio: float = field.value(0.0, "MLP / width; 0: variant's", low=0)
  window: int = field.value(0, "side in tokens; 0: that of variant", low=0)
  qkv_bias: bool = field.value(True, "bias on q, k and v")
  patch_norm: bool = field.value(True, "LayerNorm on the patches")

  @classmethod
  def tiny(cls) -> "Swin":
    """Two stages with windows of 4 on 8 x 8 patches, nothing mixed."""
    return cls(
      variant="SwinT/2",
      size=16,
      width=16,
      depths=(2, 1),
      heads=(2, 4),
      window=4,
      classes=6,
      mixup=0.0,
      cutmix=0.0,
    )

  @property
  def encoder(self) -> swin.Swin:
    """The backbone; it has no mask token."""
    given = ("width", "depths", "heads", "mlp_ratio", "window")
    size = swin.custom(self.variant, **{k: getattr(self, k) for k in given})
    patch = swin.parse(self.variant)[1]
    return swin.Swin(
      size=size,
      patch=patch,
      grid=(self.size // patch,) * 2,
      patch_norm=self.patch_norm,
      qkv_bias=self.qkv_bias,
      rt=self.rt,
    )

  @property
  def head(self) -> backbone.Head:
    """Linear on the mean of all tokens."""
    return backbone.Head(
      classes=self.classes,
      pool="mean",
      prefix=0,
      norm=False,
      bias=True,
      eps=swin.EPS,
      dtype=self.rt.dtype,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    swin.check(self.encoder.size, self.size, self.encoder.patch)
    return self.image_inputs()

  def init(self, key, batch):
    """Kernels N(0, 0.02^2); no extra state."""
    params, extra = super().init(key, batch)
    return {"main": initialise.normal_kernels(key, params["main"])}, extra

  def predict(self):
    """features [b, w], tokens [b, h, w, d] and logits [b, classes]."""
    side = self.size // self.encoder.stride
    found = outputs.vit(self.encode, (side, side), cls=False)
    # Stages differ in width: no layers, no attention.
    return self.with_logits({n: found[n] for n in ("features", "tokens")})
