"""Mixup, cutmix and label smoothing (timm's batch mode, MAE's fine-tuning)."""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.nn import mix

# Names of `Mixing.draw`; they are one choice for a whole batch.
SHARED = ("cut", "lam", "box")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Mixing:
  """How images and labels of a batch are mixed with those of its reverse.

  With a > 0 of both, each batch is mixed or cut with probability 1/2.
  """

  mixup: float = field.value(0.8, "mixup's a of Beta(a, a); 0: none", low=0)
  cutmix: float = field.value(1.0, "cutmix's a of Beta(a, a); 0: none", low=0)
  smoothing: float = field.value(0.1, "label smoothing s", low=0, below=1)

  def draw(
    self, keys: randomness.Keys, batch: method.Batch
  ) -> dict[str, jax.Array]:
    """Whether a batch is mixed or cut, and how.

    Returns:
      cut: bool [], cutmix instead of mixup; lam: float [], share of an image
      itself under mixup; box: int32 [1, 4], (y0, y1, x0, x1) cutmix pastes.
    """
    beta = lambda name, a: (
      jax.random.beta(keys(name), a, a) if a else jnp.float32(1)
    )
    side = batch["image"].shape[1:3]
    share = self.cutmix and (0.5 if self.mixup else 1.0)
    centre = jax.random.uniform(keys("centre"), (2,)) * jnp.asarray(side)
    box, _ = mix.cutmix_box(
      beta("box", self.cutmix), jnp.floor(centre).astype(jnp.int32), side
    )
    return {
      "cut": jax.random.uniform(keys("cut")) < share,
      "lam": beta("lam", self.mixup),
      "box": box[None],
    }

  def apply(
    self, batch: method.Batch, draws: method.Draws, classes: int
  ) -> tuple[jax.Array, jax.Array]:
    """Images [b, h, w, c] and soft targets [b, classes] under given draws."""
    x = batch["image"]
    box = draws["box"][0]
    # A clipped box is smaller: lam of a cut batch is the share that stays.
    kept = mix.kept_share(box, x.shape[1:3])
    lam = jnp.where(draws["cut"], kept, draws["lam"])
    x = jnp.where(draws["cut"], mix.cutmix(x, box), mix.mixup(x, draws["lam"]))
    return x, mix.soft_targets(batch["label"], lam, classes, self.smoothing)
