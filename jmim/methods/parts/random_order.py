"""Sampling tokens in a random order, several at a time (MAR).

A random order of the n unknown tokens is drawn; after call i of I the first

    n_i = max(1, min(n_{i-1} - 1, floor(n cos(pi/2 i/I)))),   n_0 = n, n_I = 0

of it are still masked, so that call i fills in tokens n_i .. n_{i-1} - 1 of the
order. Guidance grows as they do, from nothing:

    s_i = 1 + (s - 1) (N - max(n_i, 1)) / N              N tokens in all
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Sequence
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import field
from jmim.diffusion import maskgit
from jmim.diffusion import sampler as samplers
from jmim.masks import tokens as masking
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import token_diffusion


@dataclasses.dataclass(frozen=True, kw_only=True)
class RandomOrder:
  """Calls, steps of each token's diffusion, guidance and temperature."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  steps: int = field.value(64, "calls of the transformer", low=1)
  head_steps: int = field.value(100, "steps of a token's diffusion", low=1)
  sampler: str = field.value(
    "ddpm", "sampler of a token", choices=("ddpm", "ddim")
  )
  guidance: float = field.value(
    1.0, "classifier-free guidance: 1 conditional, 0 unconditional"
  )
  guidance_schedule: str = field.value(
    "linear", "guidance over the calls", choices=("linear", "constant")
  )
  temperature: float = field.value(
    1.0, "factor of the noise of each step of the diffusion", low=0.0
  )

  @property
  def walk(self) -> guided.Guided:
    """The sampler of a token."""
    return guided.Guided(sampler=self.sampler, steps=self.head_steps, clip=0.0)

  def check(
    self,
    tokens: int,
    noise: gaussian.Gaussian,
    drop: float | None,
    head: token_diffusion.Head,
    key: str = "labels.drop",
  ) -> None:
    """Raises ValueError for fields that do not go together.

    Args:
      tokens: of an example.
      noise: the process of a token.
      drop: share of conditions dropped in training; None: there are none.
      head: model of a token; a regression's are means, which have no guidance
        and no noise.
      key: of that share.
    """
    head.prediction.check(noise, "head.prediction")
    for name in ("guidance", "temperature"):
      if not head.diffuses and getattr(self, name) != 1:
        raise ValueError(
          f"sampling.{name}={getattr(self, name)} with head.kind='regression', "
          "whose tokens are not drawn"
        )
    if self.head_steps > noise.times:
      raise ValueError(
        f"sampling.head_steps {self.head_steps} of noise.times {noise.times}"
      )
    if self.steps > tokens:
      raise ValueError(
        f"sampling.steps {self.steps}, but there are {tokens} tokens: a call "
        "fills in at least one"
      )
    if drop is None and self.guidance != 1:
      raise ValueError(
        f"sampling.guidance={self.guidance} with labels.classes=0"
      )
    if self.sampler == "ddim" and self.temperature != 1:
      raise ValueError(
        f"sampling.temperature={self.temperature} with a sampler without noise"
      )
    dataclasses.replace(self.walk, guidance=self.guidance).check(drop, key)
    noise.check(self.walk, kind=head.prediction.given)

  def table(self, noise: gaussian.Gaussian) -> samplers.Table:
    """The sampler of a token, its noise times the temperature."""
    table = noise.table(self.walk)
    return dataclasses.replace(table, std=self.temperature * table.std)

  def counts(self, unknown: int) -> np.ndarray:
    """n_0 .. n_I of so many unknown tokens; no more calls than tokens."""
    return maskgit.counts("cosine", unknown, min(self.steps, unknown))

  def scales(self, counts: np.ndarray, tokens: int) -> np.ndarray:
    """s_1 .. s_I."""
    if self.guidance_schedule == "constant":
      return np.full(len(counts) - 1, self.guidance)
    left = np.maximum(counts[1:], 1)
    return 1 + (self.guidance - 1) * (tokens - left) / tokens

  def sample(
    self,
    keys: jax.Array,
    conditions: Callable[[jax.Array, jax.Array, jax.Array], Sequence],
    head: Callable[..., jax.Array],
    *,
    noise: gaussian.Gaussian,
    shape: tuple[int, int],
  ) -> tuple[jax.Array, jax.Array]:
    """Tokens [b, n, c] and the call that each is from, as of `fill`.

    Args:
      keys: [b], one per row: a sample is a function of its key and condition.
      conditions: (tokens, order [b, n], how many are masked) -> vectors [b, n,
        d], of guidance with those of no label behind them.
      head: (vectors [b, k, d], null=, scale=, table=, normal=) -> tokens, see
        `token_diffusion.Head.sample`.
      noise: the process of a token.
      shape: (n, c).
    """
    fold = jax.vmap(jax.random.fold_in, (0, None))
    of_order, of_tokens = fold(keys, 0), fold(keys, 1)
    permute = lambda key: jax.random.permutation(key, shape[0])
    order, table = jax.vmap(permute)(of_order), self.table(noise)

    def draw(index, scale, z, null=None):
      size, at = (z.shape[1], shape[1]), fold(of_tokens, index)
      one = lambda key: jax.random.normal(key, size)
      normal = lambda call: jax.vmap(one)(fold(at, call))
      return head(z, null=null, scale=scale, table=table, normal=normal)

    given = lambda x, masked: conditions(x, order, masked)
    empty = jnp.zeros((len(keys), *shape))
    return self.fill(given, draw, empty, order, unknown=shape[0])

  def fill(
    self,
    conditions: Callable[[jax.Array, jax.Array], Sequence],
    draw: Callable[..., jax.Array],
    tokens: jax.Array,
    order: jax.Array,
    unknown: int,
  ) -> tuple[jax.Array, jax.Array]:
    """Fills in the tokens that come first in the order.

    Args:
      conditions: (tokens [b, n, c], how many are masked, a scalar) ->
        arrays [b, n, d].
      draw: (number of the call, scale of the guidance, *conditions of the k
        tokens [b, k, d]) -> tokens [b, k, c].
      tokens: [b, n, c]; the unknown ones are not looked at.
      order: [b, n], a permutation in each row; the first `unknown` are masked.
      unknown: how many, at least 1.

    Returns:
      the tokens, and [b, n] int32 the call that each is from, -1 if known.
    """
    n, counts = order.shape[1], self.counts(unknown)
    before, after = counts[:-1], counts[1:]
    k = int((before - after).max())
    first = np.maximum(before - k, 0)  # of a window of k that ends there

    def call(tokens, row):
      at = jax.lax.dynamic_slice_in_dim(order, row["first"], k, axis=1)
      found = conditions(tokens, row["before"])
      there = (masking.take(z, at) for z in found)
      made = draw(row["index"], row["scale"], *there)
      place = row["first"] + jnp.arange(k)
      fresh = (place >= row["after"]) & (place < row["before"])
      made = jnp.where(fresh[:, None], made, masking.take(tokens, at))
      put = jax.vmap(lambda x, i, new: x.at[i].set(new))
      return put(tokens, at, made), None

    rows = dict(before=before, after=after, first=first)
    rows = {name: jnp.asarray(x, jnp.int32) for name, x in rows.items()}
    rows["scale"] = jnp.asarray(self.scales(counts, n), jnp.float32)
    rows["index"] = jnp.arange(len(before))
    tokens, _ = jax.lax.scan(call, tokens, rows)
    # Place p of the order is filled in by the call with after <= p < before.
    place = np.arange(n)
    calls = (place[:, None] < after).sum(1)
    calls = jnp.asarray(np.where(place < unknown, calls, -1), jnp.int32)
    return tokens, calls[jnp.argsort(order, axis=1)]
