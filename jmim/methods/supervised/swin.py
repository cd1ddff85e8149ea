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

import jax

from jmim.core import field
from jmim.core import method
from jmim.methods import outputs
from jmim.methods.parts import mixing as mixings
from jmim.methods.parts import swin_dims
from jmim.methods.supervised import finetune
from jmim.nn import initialise
from jmim.nn.decoders import heads
from jmim.nn.nets import swin


@dataclasses.dataclass(frozen=True, kw_only=True)
class Swin(finetune.Finetune):
  """Windows, shifts, merging; mean of the last tokens, linear."""

  dims: swin_dims.SwinDims = field.part(swin_dims.SwinDims, "encoder", was="{}")
  qkv_bias: bool = field.value(True, "bias on q, k and v")
  patch_norm: bool = field.value(True, "LayerNorm on the patches")

  @classmethod
  def tiny(cls) -> "Swin":
    """Two stages with windows of 4 on 8 x 8 patches, nothing mixed."""
    return cls(
      size=16,
      classes=6,
      dims=swin_dims.SwinDims(
        variant="SwinT/2", width=16, depths=(2, 1), heads=(2, 4), window=4
      ),
      mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
    )

  @property
  def encoder(self) -> swin.Swin:
    """The backbone; it has no mask token."""
    return swin.Swin(
      size=self.dims.size,
      patch=self.dims.patch,
      grid=self.dims.grid(self.size),
      patch_norm=self.patch_norm,
      qkv_bias=self.qkv_bias,
      rt=self.rt,
    )

  @property
  def head(self) -> heads.PoolHead:
    """Linear on the mean of all tokens."""
    return heads.PoolHead(classes=self.classes, pool="mean", rt=self.rt)

  def read(self, latent: jax.Array) -> jax.Array:
    """The tokens [b, n, 8 w] that the head sees: all."""
    return latent

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Kernels N(0, 0.02^2); no extra state."""
    params, extra = super().init(key, batch)
    return {"main": initialise.normal_kernels(key, params["main"])}, extra

  def predict(self) -> dict[str, method.Predict]:
    """features [b, w], tokens [b, h, w, d] and logits [b, classes]."""
    side = self.size // self.encoder.stride
    offered = outputs.vit(self.encode, (side, side), cls=False)
    # Stages differ in width: no layers, no attention.
    return {
      "features": offered["features"],
      "tokens": offered["tokens"],
      "logits": self.classify,
    }
