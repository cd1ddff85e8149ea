"""Tokens of a volume generated one after the other, from the first of them.

    x^_i = guess(x_1 .. x_s, x^_{s+1} .. x^_{i-1})      i = s + 1 .. n

Errors made early are read by all later tokens, which shows in how the error
grows from the first generated tokens to the last.
"""

import dataclasses
from collections.abc import Callable
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.methods.parts import raster as rasters

# (tokens [b, n, v] of which those in front hold, how many [b]) -> [b, v].
Guess = Callable[[jax.Array, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rollout:
  """How many tokens are given, and who says what the next one is."""

  asked: ClassVar[bool] = True  # a run may be rolled out in other ways

  start: int = field.value(100, "tokens given", low=1)
  source: str = field.value(
    "head",
    "the next token is that of the head for it, or is cut out of the map of "
    "all voxels",
    choices=("head", "map"),
  )
  last: int = field.value(
    25, "tokens of the near and the far end whose errors are told", low=1
  )

  def check(self, n: int) -> None:
    """Raises ValueError where no token is left to generate.

    Args:
      n: tokens of a volume.
    """
    if self.start >= n:
      raise ValueError(
        f"rollout.start={self.start} of {n} tokens: none is left"
      )

  def tokens(self, guess: Guess, given: jax.Array) -> jax.Array:
    """[b, n, v]: the first `start` as given, the others generated.

    Args:
      guess: the network.
      given: [b, n, v].
    """
    b, n, _ = given.shape
    known = jnp.arange(n)[:, None] < self.start

    def body(k, tokens):
      one = guess(tokens, jnp.full(b, k))
      return jax.lax.dynamic_update_index_in_dim(tokens, one, k, 1)

    first = jnp.where(known, given, 0.0)
    return jax.lax.fori_loop(self.start, n, body, first)

  def volumes(
    self, guess: Guess, raster: rasters.Raster, volumes: jax.Array
  ) -> jax.Array:
    """[b, d, h, w] float32, volumes continued from their first tokens.

    Args:
      guess: the network.
      raster: tokens of a volume.
      volumes: [b, d, h, w].
    """
    given = raster.tokens(volumes.astype(jnp.float32))
    return raster.volume(self.tokens(guess, given))

  def errors(
    self, guess: Guess, raster: rasters.Raster, volumes: jax.Array
  ) -> dict[str, jax.Array]:
    """Mean squared errors of generated tokens, each [b] float32.

    Args:
      guess: the network.
      raster: tokens of a volume.
      volumes: [b, d, h, w].

    Returns:
      error: of all; near, far: of the first and the last `last` of them;
      growth: far over near.
    """
    given = raster.tokens(volumes.astype(jnp.float32))
    made = self.tokens(guess, given)
    each = ((made - given) ** 2).mean(-1)[:, self.start :]
    near, far = each[:, : self.last].mean(1), each[:, -self.last :].mean(1)
    growth = far / jnp.maximum(near, 1e-12)
    return {"error": each.mean(1), "near": near, "far": far, "growth": growth}
