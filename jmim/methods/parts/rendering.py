"""Which codes are named after a prefix, in training and in sampling (DiGIT).

    ar    the next one, told all before
    nar   those that are hidden, told the others (MaskGIT)

Ids are those of `parts/token_lm.py`; n codes stand after <end>, which follows
the prefix. Letters: b batch, v different codes.
"""

import dataclasses
from typing import ClassVar
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import method
from jmim.core import randomness
from jmim.methods.parts import mask_rates
from jmim.methods.parts import one_by_one
from jmim.methods.parts import parallel_decoding
from jmim.methods.parts import token_lm
from jmim.nn.nets import token_lm as nets


class Task(NamedTuple):
  """What a network reads after the prefix, and what it is to name.

  Attributes:
    ids: [b, 1 + n] ints that are read.
    targets: [b, 1 + n] ints, at the same places.
    scored: [b, 1 + n] bool, where.
  """

  ids: jax.Array
  targets: jax.Array
  scored: jax.Array


def _ended(codes: jax.Array, before: bool) -> jax.Array:
  """[b, 1 + n] ids of codes [b, n] and <end>, before or after them."""
  pad = ((0, 0), (1, 0) if before else (0, 1))
  codes = token_lm.SPECIAL + codes
  return jnp.pad(codes, pad, constant_values=token_lm.END)


@dataclasses.dataclass(frozen=True, kw_only=True)
class NextCode:
  """Code after code."""

  one_way: ClassVar[bool] = True

  sampling: one_by_one.OneByOne = field.part(
    one_by_one.OneByOne, "sampler", top_p=0.8
  )

  def check(self) -> None:
    """Nothing can be wrong."""

  def draw(self, keys: randomness.Keys, shape: tuple[int, int]) -> method.Draws:
    """Nothing."""
    del keys, shape
    return {}

  def task(self, codes: jax.Array, draws: method.Draws) -> Task:
    """The next of codes [b, n], and <end> after the last."""
    del draws
    ids, targets = _ended(codes, before=True), _ended(codes, before=False)
    return Task(ids, targets, jnp.ones(ids.shape, bool))

  def sample(
    self,
    keys: jax.Array,
    net: nets.TokenLM,
    params: method.Tree,
    prefix: jax.Array,
    count: int,
  ) -> jax.Array:
    """[b, n] int32 codes after a prefix.

    Args:
      keys: [b], one per row.
      net: with that prefix.
      params: its parameters.
      prefix: [b, p] ids.
      count: v.
    """
    end = jnp.full((len(prefix), 1), token_lm.END, prefix.dtype)
    before = jnp.concatenate([prefix, end], axis=1)
    codes = (token_lm.SPECIAL, count)
    return self.sampling.sample(keys, net, params, before, codes=codes)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HiddenCodes:
  """Codes many at a time, the surest first."""

  one_way: ClassVar[bool] = False

  masks: mask_rates.MaskRates = field.part(
    mask_rates.MaskRates, "codes that are hidden in training"
  )
  sampling: parallel_decoding.Parallel = field.part(
    parallel_decoding.Parallel, "sampler"
  )

  def check(self) -> None:
    """Raises ValueError for a schedule that is none."""
    self.masks.check("render.masks")
    self.sampling.check("render.sampling")

  def draw(self, keys: randomness.Keys, shape: tuple[int, int]) -> method.Draws:
    """r [b] and scores [b, n], both ~ U[0, 1)."""
    return self.masks.draw(keys, shape)

  def task(self, codes: jax.Array, draws: method.Draws) -> Task:
    """Those of codes [b, n] that the draws hide; <end> stays where it is."""
    masked = jnp.pad(self.masks.masked(draws), ((0, 0), (1, 0)))
    targets = _ended(codes, before=True)
    ids = jnp.where(masked, token_lm.UNKNOWN, targets)
    return Task(ids, targets, masked)

  def sample(
    self,
    keys: jax.Array,
    net: nets.TokenLM,
    params: method.Tree,
    prefix: jax.Array,
    count: int,
  ) -> jax.Array:
    """As of `NextCode`; in `sampling.steps` calls."""

    def logits(x):
      ids = jnp.where(x == count, token_lm.UNKNOWN - token_lm.SPECIAL, x)
      ids = jnp.concatenate([prefix, _ended(ids, before=True)], axis=1)
      out = net.apply({"params": params}, ids, skip=net.prefix + 1)
      return out["logits"][..., token_lm.SPECIAL :]

    start = net.rt.shard(jnp.full((len(prefix), net.length - 1), count))
    return self.sampling.sample(keys, logits, start, count).tokens


KINDS = {"ar": NextCode, "nar": HiddenCodes}
