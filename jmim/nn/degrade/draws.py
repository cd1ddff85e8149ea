"""Numbers of a degradation, each drawn under a name of its own."""

from collections.abc import Callable
from collections.abc import Sequence

import jax
import jax.numpy as jnp


class Drawing:
  """Draws for a batch of images; `found` holds what was drawn, by name."""

  def __init__(self, keys: Callable[[str], jax.Array], shape: tuple[int, ...]):
    """Names are taken from `keys`, such as `core.randomness.Keys`.

    Args:
      keys: the key of a name.
      shape: [b, h, w, c] of the images.
    """
    self.keys, self.shape = keys, shape
    self.found: dict[str, jax.Array] = {}

  def _keep(self, name: str, made: jax.Array) -> None:
    self.found[name] = made

  def uniform(self, name: str, low: float, high: float, *more: int) -> None:
    """[b, *more] ~ U[low, high)."""
    shape = (self.shape[0], *more)
    key = self.keys(name)
    self._keep(name, jax.random.uniform(key, shape, minval=low, maxval=high))

  def whole(self, name: str, low: int, high: int) -> None:
    """[b] ints, low to high, both of them among these."""
    key, shape = self.keys(name), self.shape[:1]
    self._keep(name, jax.random.randint(key, shape, low, high + 1))

  def choice(self, name: str, shares: Sequence[float]) -> None:
    """[b] ints: i with probability shares[i] of their sum."""
    logits = jnp.log(jnp.asarray(shares))
    key, shape = self.keys(name), self.shape[:1]
    self._keep(name, jax.random.categorical(key, logits, shape=shape))

  def coin(self, name: str, share: float) -> None:
    """[b] bool, true with that probability."""
    key, shape = self.keys(name), self.shape[:1]
    self._keep(name, jax.random.bernoulli(key, share, shape))

  def normal(self, name: str, *shape: int) -> None:
    """[b, *shape] ~ N(0, 1); without a shape: of the images'."""
    shape = (self.shape[0], *(shape or self.shape[1:]))
    self._keep(name, jax.random.normal(self.keys(name), shape))
