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
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.methods import outputs
from jmim.methods.supervised import finetune
from jmim.nn import mlp
from jmim.nn import sizes
from jmim.nn.nets import vit

POOLS = ("cls", "mean", "cls_mean")
POSITIONS = ("learned", "sincos", "rotary", "none")
RELATIVE = ("none", "shared", "block")
ACTS = (*mlp.ACTIVATIONS, "swiglu")


class Head(nn.Module, kw_only=True):
  """Pooled tokens, LayerNorm if `norm`, linear.

  Attributes:
    classes: outputs.
    pool: one of POOLS.
    prefix: tokens before the patches.
    norm: LayerNorm before the linear layer.
    bias: of the linear layer.
    eps: of the LayerNorm.
    dtype: of the computation.
  """

  classes: int
  pool: str
  prefix: int
  norm: bool
  bias: bool
  eps: float
  dtype: jnp.dtype

  @nn.compact
  def __call__(self, tokens: jax.Array) -> jax.Array:
    """[b, prefix + n, w] -> [b, classes] float32."""
    mean = lambda: tokens[:, self.prefix :].mean(1)
    parts = {"cls": lambda: tokens[:, 0], "mean": mean}
    x = jnp.concatenate([parts[p]() for p in self.pool.split("_")], axis=-1)
    if self.norm:
      norm = nn.LayerNorm(
        self.eps, self.dtype, use_fast_variance=False, name="norm"
      )
      x = norm(x)
    init = nn.initializers.normal(2e-5)
    dense = nn.Dense(
      self.classes, self.bias, self.dtype, kernel_init=init, name="out"
    )
    return dense(x).astype(jnp.float32)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Backbone(finetune.Finetune):
  """A ViT of any family; see the module docstring."""

  positions: str = field.value("learned", "positions", choices=POSITIONS)
  theta: float = field.value(100.0, "base of rotary positions", above=0.0)
  relative: str = field.value(
    "none", "biases by relative position (BEiT)", choices=RELATIVE
  )
  cls: bool = field.value(True, "put a class token first")
  registers: int = field.value(0, "register tokens after it", low=0)
  qkv_bias: bool = field.value(True, "bias on q, k and v")
  key_bias: bool = field.value(True, "bias on k, if q and v have one")
  patch_bias: bool = field.value(True, "bias of the patch embedding")
  layer_scale: float = field.value(0.0, "its start; 0: none", low=0.0)
  act: str = field.value("gelu", "of the MLP", choices=ACTS)
  eps: float = field.value(1e-6, "of the LayerNorms", above=0.0)
  pre_norm: bool = field.value(False, "LayerNorm before the blocks (CLIP)")
  final_norm: bool = field.value(True, "LayerNorm after the last block")
  pool: str = field.value("cls", "what the head reads", choices=POOLS)
  head_norm: bool = field.value(False, "LayerNorm of what it reads")
  head_bias: bool = field.value(True, "bias of the classifier")

  @classmethod
  def tiny(cls) -> "Backbone":
    """What is off by default (but `relative`), two blocks of width 32."""
    return cls(
      variant="Ti/4",
      size=16,
      width=32,
      depth=2,
      heads=4,
      classes=6,
      mixup=0.0,
      cutmix=0.0,
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
    names = ("width", "depth", "heads", "mlp_ratio")
    size = sizes.custom(self.variant, **{k: getattr(self, k) for k in names})
    patch = sizes.parse(self.variant)[1]
    bias = "qv" if self.qkv_bias and not self.key_bias else self.qkv_bias
    style = dict(qkv_bias=bias, act=self.act, eps=self.eps)
    if self.relative == "block":
      style |= {"window": (self.size // patch,) * 2, "window_prefix": self.cls}
    return vit.ViT(
      size=size,
      patch=patch,
      grid=(self.size // patch,) * 2,
      positions=self.positions,
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
  def head(self) -> Head:
    """The classifier."""
    return Head(
      classes=self.classes,
      pool=self.pool,
      prefix=self.encoder.prefix,
      norm=self.head_norm,
      bias=self.head_bias,
      eps=self.eps,
      dtype=self.rt.dtype,
    )

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    if "cls" in self.pool and not self.cls:
      raise ValueError(f"pool {self.pool!r} without cls")
    if self.registers and self.relative != "none":
      raise ValueError(f"relative {self.relative!r} with registers")
    heads = self.encoder.size.width // self.encoder.size.heads
    if self.positions == "rotary" and heads % 4:
      raise ValueError(f"rotary positions: {heads} per head, no multiple of 4")
    return super().inputs()

  def read(self, latent) -> jax.Array:
    """All tokens: `pool` chooses."""
    return latent

  def predict(self):
    """logits [b, classes], and outputs of the encoder (see `outputs.vit`)."""
    net = self.encoder
    found = outputs.vit(self.encode, net.grid, self.cls, self.registers)
    return self.with_logits(found)
