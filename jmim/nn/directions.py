"""How alike vectors are, and the ways in which they change.

Of two towers that meet in one space (CLIP): E_I of pictures, E_T of texts, all
of length 1. The direction is that of Gal et al. 2022 (StyleGAN-NADA), by which
Wu and De la Torre 2023 (CycleDiffusion) choose among edits:

    alike(a, b) = a b / |a| |b|
    direction   = alike(E_I(y) - E_I(x), E_T(t') - E_T(t))

0 where nothing changed.
"""

import jax

from jmim.nn import norm


def alike(a: jax.Array, b: jax.Array) -> jax.Array:
  """Cosine [...] of [..., d], float32; 0 where one of them is 0."""
  return (norm.unit(a) * norm.unit(b)).sum(-1)


def change(before: jax.Array, after: jax.Array) -> jax.Array:
  """From one to the other [..., d], both brought to length 1 first."""
  return norm.unit(after) - norm.unit(before)
