"""Latents of an autoencoder against features of a vision model (VA-VAE).

Yao, Yang, Wang, CVPR 2025 (hustvl/LightningDiT@2725fed). Of an image with
latents z_i and features f_i at the same places i:

    z', f' = P z, f     or     z, P f             P: linear, `maps`
    cosine = mean_i relu(1 - m_c - cos(z'_i, f'_i))
    pairs  = mean_ik relu(|cos(z'_i, z'_k) - cos(f'_i, f'_k)| - m_p)
    L      = w_c cosine + w_p pairs
    lambda = weight clip(|d nll/dE| / (|d L/dE| + 1e-4), 0, 1e8)

E is a kernel that both losses depend on. The paper's pairs are of unprojected
z; as in the released code they are of z'. Letters: b batch, n places, c
channels of the latents, w width of the features, d of both once mapped.
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jmim.core import field
from jmim.core import runtime
from jmim.nn import conv
from jmim.nn import norm

MOST = 1e8
COSINE_EPS = 1e-8  # torch's, of its cosine; the pairs' is that of its norm


@dataclasses.dataclass(frozen=True, kw_only=True)
class VisionAlignment:
  """Which side is mapped, both margins and weights."""

  maps: str = field.value(
    "latents",
    "side that the linear map is applied to: latents (no bias), features",
    choices=("latents", "features"),
  )
  cosine_margin: float = field.value(
    0.5, "margin m_c: how far below 1 a cosine may be", low=0.0
  )
  pairs_margin: float = field.value(
    0.25, "margin m_p: by how much cosines of places may differ", low=0.0
  )
  cosine_weight: float = field.value(1.0, "weight w_c of the cosines", low=0.0)
  pairs_weight: float = field.value(1.0, "weight w_p of the pairs", low=0.0)
  weight: float = field.value(
    0.1, "weight of L; adaptive: of its gradient against that of nll", low=0.0
  )
  adaptive: bool = field.value(
    True, "balance gradients at the encoder's last convolution"
  )
  rt: runtime.Runtime = field.runtime()

  def map(self, channels: int, width: int) -> Any:
    """The module P, [..., c] -> [..., w] or the reverse.

    Args:
      channels: c of the latents.
      width: w of the features.
    """
    latents = self.maps == "latents"
    return conv.conv1(
      self.rt, width if latents else channels, None, not latents
    )

  def init(self, key: jax.Array, channels: int, width: int) -> Any:
    """Fresh parameters of P; args as of `map`."""
    read = channels if self.maps == "latents" else width
    made = self.map(channels, width).init(key, jnp.zeros((1, read)))
    return made["params"]

  def pair(
    self, params: Any, z: jax.Array, f: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """(z', f'), both [b, n, d].

    Args:
      params: of P.
      z: [b, h, w, c] latents.
      f: [b, n, w] features at their places, row by row.
    """
    z = z.reshape(len(z), -1, z.shape[-1])
    p = self.map(z.shape[-1], f.shape[-1])
    if self.maps == "latents":
      return p.apply({"params": params}, z), f
    return z, p.apply({"params": params}, f)

  def loss(self, z: jax.Array, f: jax.Array) -> jax.Array:
    """L, a float32 scalar, of z' and f' [b, n, d]."""
    gap = jnp.abs(between(z) - between(f))
    pairs = jax.nn.relu(gap - self.pairs_margin).mean()
    near = jax.nn.relu(1 - self.cosine_margin - cosine(z, f)).mean()
    return self.pairs_weight * pairs + self.cosine_weight * near

  def scale(self, of_nll: jax.Array, of_loss: jax.Array) -> jax.Array:
    """lambda, a constant to the gradient.

    Args:
      of_nll: gradient of nll by E.
      of_loss: gradient of L by E.
    """
    if not self.adaptive:
      return jnp.float32(self.weight)
    nll, loss = (optax.global_norm(g) for g in (of_nll, of_loss))
    ratio = jnp.clip(nll / (loss + 1e-4), 0.0, MOST)
    return self.weight * jax.lax.stop_gradient(ratio)


def cosine(z: jax.Array, f: jax.Array) -> jax.Array:
  """[b, n] float32, of vectors [b, n, d] at the same places."""
  return (norm.unit(z, COSINE_EPS) * norm.unit(f, COSINE_EPS)).sum(-1)


def between(x: jax.Array) -> jax.Array:
  """[b, n, n] float32 cosines of all pairs of x [b, n, d] of an image."""
  x = norm.unit(x)
  return jnp.einsum("bid,bkd->bik", x, x)
