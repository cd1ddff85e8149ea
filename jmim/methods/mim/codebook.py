r"""A codebook of patches, the smallest tokenizer: k-means by gradient.

Lloyd 1982; MacQueen 1967 (online). Stage one of methods that predict tokens
(`mim.cae` with tokenizer.source="codebook"), where no trained tokenizer is at
hand:

    c_k   = codes, started at random patches of the first batch
    q(x)  = argmin_k |x - c_k|^2
    loss  = mean over patches and channels of (x - c_q(x))^2

Only the nearest code moves, towards the patches it stands for. There are no
published figures. Point `method.tokenizer.codebook` of the next stage at the
workdir.

    python -m jmim.main --config=configs/codebook_cifar10.py --workdir=W ...
"""

import dataclasses

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.nn import patch as patching
from jmim.nn import vq


@dataclasses.dataclass(frozen=True, kw_only=True)
class Codebook(method.Method):
  """k-means over patches of normalised pixels."""

  size: int = field.value(32, "image side [pixels]", low=1)
  channels: int = field.value(3, "image channels", low=1)
  patch: int = field.value(4, "side of a patch [pixels]", low=1)
  codes: int = field.value(256, "size of the codebook", low=2)

  @classmethod
  def tiny(cls) -> "Codebook":
    """Eight codes of 16 patches per image."""
    return cls(size=16, codes=8)

  def inputs(self) -> dict[str, method.Input]:
    """Normalised images [size, size, channels]."""
    if self.size % self.patch:
      raise ValueError(
        f"size {self.size} does not divide by patch {self.patch}"
      )
    return {"image": method.Input((self.size, self.size, self.channels))}

  def init(self, key, batch) -> tuple[method.Tree, method.Tree]:
    """Random patches of the batch; no extra state."""
    x = patching.patchify(batch["image"], self.patch)
    x = x.reshape(-1, x.shape[-1]).astype(jnp.float32)
    codes = jax.random.choice(key, x, (self.codes,), replace=False)
    return {"main": {"codes": codes}}, {}

  def loss(self, weights, batch, draws, step, player="main") -> method.Loss:
    """Squared distance to the nearest code; aux: share of codes in use."""
    del draws, step, player
    codes = weights.params["main"]["codes"]
    x = patching.patchify(batch["image"], self.patch).astype(jnp.float32)
    ids = vq.nearest(x, codes)
    used = jnp.zeros(self.codes).at[ids.ravel()].set(1.0).mean()
    return ((x - codes[ids]) ** 2).mean(), {"codes_used": used}

  def predict(self) -> dict[str, method.Predict]:
    """features [b, codes]: how often each code occurs in an image."""
    return {"features": self.histogram}

  def histogram(self, weights, batch, key) -> jax.Array:
    """[b, codes] shares of the patches of an image; sums to 1."""
    del key
    x = patching.patchify(batch["image"], self.patch)
    ids = vq.nearest(x, weights.params["main"]["codes"])
    return jax.nn.one_hot(ids, self.codes).mean(1)
