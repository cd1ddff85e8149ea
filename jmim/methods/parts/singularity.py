"""What MTO adds to a method with mask tokens (Choi et al. 2024).

THE EQUATIONS ARE AN INSTANTIATION: names and aims are the paper's, whose text
could not be read; see `methods.mim.mto`.
"""

import dataclasses
import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.nn import singularity

TAU = 0.1
TERMS = ("spa", "entropy", "singular")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Singularity:
  """Recalibrated attention, three losses, each with its switch."""

  recalibrate: bool = field.value(
    True, "visible tokens do not read masked ones that say little"
  )
  kappa0: float = field.value(
    1.0, "share of the masked not read in the first layer", low=0, high=1
  )
  lambda_spa: float = field.value(0.1, "weight of L_spa", low=0)
  lambda_e: float = field.value(0.01, "weight of L_e", low=0)
  lambda_r: float = field.value(0.1, "weight of L_r", low=0)
  warmup_steps: int = field.value(
    0, "steps over which the three weights rise from 0", low=0
  )

  @property
  def weights(self) -> dict[str, float]:
    """Of the terms that count."""
    given = (self.lambda_spa, self.lambda_e, self.lambda_r)
    return {t: w for t, w in zip(TERMS, given, strict=True) if w}

  @property
  def on(self) -> bool:
    """Whether anything is; else the host is as it was."""
    return bool(self.recalibrate and self.kappa0 or self.weights)

  def counts(self, masked: int, depth: int) -> np.ndarray:
    """[depth] ceil(kappa_l |M|), kappa_l = kappa0 (1 - l / (depth - 1)).

    Args:
      masked: |M|, masked patches of an image.
      depth: layers; of a single one kappa is kappa0.
    """
    last = max(depth - 1, 1)
    shares = [self.kappa0 * masked * (last - i) / last for i in range(depth)]
    # Less what rounding adds to a whole number.
    return np.array([math.ceil(x - 1e-9) for x in shares], np.int32)

  def bias_of(
    self, hidden: jax.Array, masked: int, depth: int
  ) -> jax.tree_util.Partial | None:
    """The hook of a stack's blocks; None: attention as it is.

    Args:
      hidden: [b, n], 1 = masked.
      masked: how many of each row are.
      depth: layers of the stack.
    """
    if not (self.recalibrate and self.kappa0):
      return None
    counts = jnp.asarray(self.counts(masked, depth))
    return jax.tree_util.Partial(functools.partial(_bias, hidden), counts)

  def measure(
    self, layers: jax.Array, hidden: jax.Array
  ) -> dict[str, jax.Array]:
    """heterogeneity, entropy and interaction, each [L + 1, b].

    Args:
      layers: [L + 1, b, n, w] patches: what each layer's attention reads, and
        last what leaves the network.
      hidden: [b, n], 1 = masked.
    """
    cos = singularity.cosines(layers)
    return {
      "heterogeneity": singularity.heterogeneity(cos, hidden),
      "entropy": singularity.row_entropy(cos, hidden, TAU),
      "interaction": singularity.interaction(cos, hidden),
    }

  def terms(
    self,
    layers: jax.Array,
    hidden: jax.Array,
    token: jax.Array,
    patches: jax.Array,
  ) -> dict[str, jax.Array]:
    """The three losses by name, scalars.

    Args:
      layers: as of `measure`.
      hidden: [b, n], 1 = masked.
      token: the mask token.
      patches: [b, n, w] embedded patches without positions.
    """
    found = self.measure(layers, hidden)
    deep = np.arange(len(layers)) / np.arange(len(layers)).sum()
    mean = lambda weights, x: (weights[:, None] * x).sum(0).mean()
    return {
      "spa": mean(deep[::-1], found["interaction"]),
      "entropy": mean(deep, found["entropy"]),
      "singular": singularity.likeness(token, patches, hidden).mean(),
    }

  def added(self, terms: dict[str, jax.Array], step: jax.Array) -> jax.Array:
    """Their weighted sum at a step."""
    total = sum(w * terms[name] for name, w in self.weights.items())
    if not self.warmup_steps:
      return total
    return total * jnp.minimum(step / self.warmup_steps, 1.0)


def layers_of(
  normed: jax.Array, latent: jax.Array, first: int = 1
) -> jax.Array:
  """[L + 1, b, n, w] for `measure`, from a network's outputs.

  Args:
    normed: [L, b, first + n, w], the tap of that name.
    latent: [b, first + n, w] after the final norm.
    first: tokens before the patches.
  """
  layers = jnp.concatenate([normed, latent[None]])
  return layers[:, :, first:]


def by_layer(found: dict[str, jax.Array]) -> dict[str, jax.Array]:
  """{"heterogeneity_00": [b], ...} of `measure`, for evaluators."""
  return {
    f"{name}_{i:02d}": row
    for name in ("heterogeneity", "entropy")
    for i, row in enumerate(found[name])
  }


def _bias(hidden, count, normed):
  """The bias of one layer."""
  return singularity.recalibration(normed, hidden, count, TAU)
