r"""Any plain ViT with a linear classifier: the form of others' checkpoints.

The encoders of DINO (v1 to v3), CLIP, BEiT, timm's and Transformers' ViT differ
from MAE's in positions, class and register tokens, norms, LayerScale, biases,
activation, and in what the classifier reads. All of that is a field here, so
that one method holds their weights (`jmim.convert`), serves them to the
evaluators, and fine-tunes them. Mixing, drop path and loss are those of
`finetune`:

    z      = ViT(x')
    v      = z_cls | mean_n z_n | (z_cls, mean_n z_n)    pool
    v      = LayerNorm(v)                                if head_norm
    logits = W v + b
    loss   = -sum_c y'_c log softmax(logits)_c           x', y' mixed

Reference (ImageNet-1k top-1 %, k-NN / linear on frozen features): DINO S/16
74.5 / 77.0, B/16 76.1 / 78.2; DINOv2 S/14 79.0 / 81.1, B/14 82.1 / 84.5, L/14
83.5 / 86.3 (their papers; the weights are theirs, not trained here). Proven by
agreement with the libraries' own networks (`tests/convert`), not by goldens.

    python -m jmim.convert --from=dinov2 --weights=DIR --out=runs/dinov2
    python -m jmim.main --config=configs/backbone_cifar10.py --workdir=... \
      --config.init_from.path=runs/dinov2
"""

import dataclasses

import flax.core
import flax.linen as nn
import jax

from jmim.core import field
from jmim.core import method
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import finetune
from jmim.nn import mlp
from jmim.nn import sizes
from jmim.nn.decoders import heads
from jmim.nn.nets import vit

POSITIONS = ("learned", "sincos", "rotary", "none")
RELATIVE = ("none", "shared", "block")
ACTS = (*mlp.ACTIVATIONS, "swiglu")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone(finetune.Finetune):
  """A ViT of any family; see the module docstring."""

  positions: str = field.value("learned", "positions", choices=POSITIONS)
  table_size: int = field.value(
    0,
    "image side that learned positions are stored for, resized to `size` "
    "(DINOv2) [pixels]; 0: size",
    low=0,
  )
  theta: float = field.value(100.0, "base of rotary positions", above=0.0)
  relative: str = field.value(
    "none", "biases by relative position (BEiT)", choices=RELATIVE
  )
  cls: bool = field.value(True, "put a class token first")
  registers: int = field.value(
    0, "register tokens after the class token", low=0
  )
  qkv_bias: bool = field.value(True, "bias on q, k and v")
  key_bias: bool = field.value(True, "bias on k, if q and v have one")
  patch_bias: bool = field.value(True, "bias of the patch embedding")
  layer_scale: float = field.value(
    0.0, "initial factor of LayerScale; 0: none", low=0.0
  )
  act: str = field.value("gelu", "activation of the MLP", choices=ACTS)
  eps: float = field.value(1e-6, "eps of the LayerNorms", above=0.0)
  pre_norm: bool = field.value(False, "LayerNorm before the blocks (CLIP)")
  final_norm: bool = field.value(True, "LayerNorm after the last block")
  pool: str = field.value("cls", "tokens the head pools", choices=heads.POOLS)
  head_norm: bool = field.value(False, "LayerNorm of the pooled tokens")
  head_bias: bool = field.value(True, "bias of the classifier")

  @classmethod
  def tiny(cls) -> "Backbone":
    """What is off by default (but `relative`), two blocks of width 32."""
    return cls(
      size=16,
      classes=6,
      dims=sizes.Dims(variant="Ti/4", width=32, depth=2, heads=4),
      mixing=mixings.Mixing(mixup=0.0, cutmix=0.0),
      registers=2,
      layer_scale=0.5,
      pre_norm=True,
      patch_bias=False,
      act="swiglu",
      pool="cls_mean",
      head_norm=True,
      positions="rotary",
      key_bias=False,
    )

  @property
  def encoder(self) -> vit.ViT:
    """With the options of its family."""
    grid = self.dims.grid(self.size)
    bias = "qv" if self.qkv_bias and not self.key_bias else self.qkv_bias
    style = dict(qkv_bias=bias, act=self.act, eps=self.eps)
    if self.relative == "block":
      style |= {"window": grid, "window_prefix": self.cls}
    return vit.build(
      self.dims,
      self.size,
      positions=self.positions,
      table_grid=self.dims.grid(self.table_size) if self.table_size else None,
      cls=self.cls,
      registers=self.registers,
      layer_scale=self.layer_scale,
      pre_norm=self.pre_norm,
      final_norm=self.final_norm,
      patch_bias=self.patch_bias,
      relative=self.relative == "shared",
      theta=self.theta,
      style=flax.core.FrozenDict(style),
      rt=self.rt,
    )

  @property
  def head(self) -> nn.Module:
    """The classifier."""
    return heads.PoolHead(
      classes=self.classes,
      pool=self.pool,
      prefix=self.encoder.prefix,
      norm=self.head_norm,
      bias=self.head_bias,
      eps=self.eps,
      rt=self.rt,
    )

  def read(self, latent: jax.Array) -> jax.Array:
    """All tokens [b, t, w]: `pool` chooses."""
    return latent

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids.

    Raises:
      ValueError: fields that do not go together.
    """
    if self.table_size and self.positions != "learned":
      raise ValueError(f"table_size with positions {self.positions!r}")
    if self.table_size % self.dims.patch:
      raise ValueError(
        f"table_size {self.table_size}: no multiple of the patch, "
        f"{self.dims.patch}"
      )
    if "cls" in self.pool and not self.cls:
      raise ValueError(f"pool {self.pool!r} without cls")
    if self.registers and self.relative != "none":
      raise ValueError(f"relative {self.relative!r} with registers")
    per_head = self.dims.size.width // self.dims.size.heads
    if self.positions == "rotary" and per_head % 4:
      raise ValueError(
        f"rotary positions: {per_head} per head, no multiple of 4"
      )
    return super().inputs()
