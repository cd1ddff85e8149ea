"""What supervised classifiers share: mixing, drop path and loss.

A method derives from `Classifier` and defines `encoder`, `head` and `inputs`.
"""

import dataclasses

import einops
import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.nn import block
from jmim.nn import mix
from jmim.nn.decoders import heads as classifiers


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classifier(method.Method):
  """Fields and functions of MAE's fine-tuning that fit any backbone."""

  size: int = field.value(224, "image side in pixels", low=1)
  channels: int = field.value(3, "image channels", low=1)
  classes: int = field.value(1000, "number of classes", low=2)
  drop_path: float = field.value(
    0.1, "rate of the last block, rising from 0", low=0, below=1
  )
  mixup: float = field.value(0.8, "a of mixup's Beta; 0: none", low=0)
  cutmix: float = field.value(1.0, "a of cutmix's Beta; 0: none", low=0)
  smoothing: float = field.value(0.1, "label smoothing s", low=0, below=1)

  def image_inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels] and class ids."""
    return {
      "image": method.Input((self.size, self.size, self.channels)),
      "label": method.Input((), jnp.int32, high=self.classes),
    }

  def draw(self, key, batch, step):
    """What is mixed how, and which residual branches are dropped.

    Returns:
      cut: bool, cutmix instead of mixup; lam: share of the own image under
      mixup; box [1, 4] int32 (y0, y1, x0, x1) pasted under cutmix; drop
      [b, blocks, 2] factors.
    """
    del step
    k_cut, k_mix, k_box, k_place, k_drop = jax.random.split(key, 5)
    beta = lambda k, a: jax.random.beta(k, a, a) if a else jnp.float32(1)
    b, *side = batch["image"].shape[:3]
    share = self.cutmix and (0.5 if self.mixup else 1.0)
    centre = jnp.floor(jax.random.uniform(k_place, (2,)) * jnp.asarray(side))
    box, _ = mix.cutmix_box(
      beta(k_box, self.cutmix), centre.astype(jnp.int32), side
    )
    rates = block.drop_path_rates(self.drop_path, self.encoder.size.blocks)
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

  def init(self, key, batch):
    """Parameters of encoder and head; no extra state."""
    k_encoder, k_head = jax.random.split(key)
    image = batch["image"][:1]
    encoder = self.encoder.init(k_encoder, image)["params"]
    out = self.encoder.apply({"params": encoder}, image)
    head = self.head.init(k_head, self.read(out["latent"]))["params"]
    return {"main": {"encoder": encoder, "head": head}}, {}

  def read(self, latent) -> jax.Array:
    """The tokens that the head sees: all."""
    return latent

  def logits(self, params, images, drop=None) -> jax.Array:
    """[b, classes] float32; drop [b, blocks, 2]."""
    main = params["main"]
    drop = block.drop_path_of({} if drop is None else {"drop": drop})
    out = self.encoder.apply({"params": main["encoder"]}, images, drop=drop)
    return self.head.apply({"params": main["head"]}, self.read(out["latent"]))

  def loss(self, player, params, extra, consts, batch, draws, step):
    """Soft cross entropy of the mixed batch."""
    del player, extra, consts, step
    images, targets = self.mixed(batch, draws)
    logits = self.logits(params, images, draws["drop"])
    return classifiers.soft_cross_entropy(logits, targets), {}

  def encode(self, params, batch, taps=()) -> dict[str, jax.Array]:
    """The encoder's outputs, nothing dropped."""
    variables = {"params": params["main"]["encoder"]}
    return self.encoder.apply(variables, batch["image"], taps=taps)

  def with_logits(self, found: dict[str, method.Predict]):
    """`predict` functions and `logits` [b, classes]."""
    return {**found, "logits": lambda p, e, c, b, k: self.logits(p, b["image"])}
