"""Drawing tokens one by one, as a config section."""

import dataclasses
from typing import ClassVar

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import autoregressive
from jmim.nn.nets import token_lm


@dataclasses.dataclass(frozen=True, kw_only=True)
class OneByOne:
  """What of a distribution may be drawn, and whether keys are kept."""

  asked: ClassVar[bool] = True  # a run may be sampled otherwise

  top_k: int = field.value(0, "only so many, the likeliest; 0: all", low=0)
  top_p: float = field.value(
    1.0, "only the likeliest, of this probability together", above=0, high=1.0
  )
  temperature: float = field.value(1.0, "divisor of the logits", above=0)
  cache: bool = field.value(
    True, "keys and values of earlier tokens are kept, not computed again"
  )

  def sample(
    self,
    keys: jax.Array,
    net: token_lm.TokenLM,
    params: dict,
    before: jax.Array,
    codes: tuple[int, int],
    known: jax.Array | None = None,
  ) -> jax.Array:
    """[b, l] int32 codes after `before`, counted from 0.

    Args:
      keys: [b], one per row.
      net: the language model; l + 1 is its length.
      params: its parameters.
      before: [b, prefix + 1] ids: the prefix, and the first of the sequence.
      codes: (id of code 0, number of codes): nothing else is drawn.
      known: [b, l] codes that are given, -1 elsewhere.
    """
    before, (first, count) = before.astype(jnp.int32), codes
    run = lambda ids, **kw: net.apply({"params": params}, ids, **kw)
    cut = lambda out: out["logits"][..., first : first + count]
    prefix = net.prefix

    def cached(cache, before, i):
      ids = jnp.where(i == 0, start, first + before)
      out = run(ids[:, None], at=prefix + i, cache=cache)
      return cut(out)[:, 0], out["cache"]

    def whole(ids, before, i):
      new = jnp.where(i == 0, start, first + before)
      at = prefix + i
      ids = jax.lax.dynamic_update_slice_in_dim(ids, new[:, None], at, axis=1)
      out = cut(run(ids, skip=prefix))
      return jax.lax.dynamic_index_in_dim(out, i, axis=1, keepdims=False), ids

    start = before[:, -1]
    if self.cache:
      advance, state = cached, net.empty(len(before))
      if prefix:
        state = run(before[:, :-1], cache=state, skip=prefix)["cache"]
    else:
      rest = jnp.zeros((len(before), net.length), before.dtype)
      advance, state = whole, jnp.concatenate([before[:, :-1], rest], 1)
    return autoregressive.generate(
      keys,
      advance,
      state,
      start,
      length=net.length - 1,
      top_k=self.top_k,
      top_p=self.top_p,
      temperature=self.temperature,
      known=known,
    )
