"""The best of several results, per example, made one after the other.

A candidate is one code of an example (a trial), begun after some steps, decoded
at one scale of guidance. Codes are made once; what is kept has the size of one
result, whatever is tried.
"""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field

SCORE = "score"  # of a result, [b]
Made = dict[str, jax.Array]  # results, [b, ...]
Encode = Callable[[Any], Any]  # draws of a trial -> code
Decode = Callable[[Any, Any], Made]  # (code, scale) -> results


@dataclasses.dataclass(frozen=True, kw_only=True)
class Search:
  """What is tried, and what is kept of it."""

  skip: tuple[int, ...] = field.value((0,), "first steps that are left out")
  scale: tuple[float, ...] = field.value(
    (1.0,), "guidance by what the target is told; 1: none"
  )
  trials: int = field.value(1, "codes of an image, by other draws", low=1)
  keep: str = field.value(
    "best", "results of several that are returned", choices=("best", "all")
  )

  @property
  def chooses(self) -> bool:
    """Whether one of several results is kept."""
    several = len(self.skip) * len(self.scale) * self.trials > 1
    return several and self.keep == "best"

  def check(self, name: str) -> None:
    """Raises ValueError if nothing is tried; name: of this part."""
    if not self.skip or not self.scale:
      raise ValueError(
        f"{name}.skip={self.skip}, {name}.scale={self.scale}: one at least"
      )

  def run(
    self,
    make: Callable[[int], tuple[Encode, Decode]],
    draws: Any,
    score: Callable[[Made], jax.Array] | None = None,
  ) -> Made:
    """The best result, or all of them [b, skips * trials * scales, ...].

    Args:
      make: skip -> functions of one trial. Results are dicts. A single scale
        stays a number, so that a network need not be called twice for 1.
      draws: of the trials, [b, trials, ...].
      score: of results [b], kept as SCORE; needed where one is chosen, unless
        they have it.

    Returns:
      The results, and skip, scale and trial.
    """
    best, rows = None, []
    for skip in self.skip:
      encode, decode = make(skip)
      trials = jax.tree.map(lambda x: jnp.moveaxis(x, 1, 0), draws)
      trials = (jnp.arange(self.trials), trials)
      code = lambda trial, encode=encode: (trial[0], encode(trial[1]))
      result = _noted(decode, skip, score)
      if self.chooses:
        best = best_of(code, result, trials, self.scale, found=best)
      else:
        rows.append(all_of(code, result, trials, self.scale))
    if best is not None:
      return best
    whole = jax.tree.map(lambda *x: jnp.concatenate(x, 1), *rows)
    return (
      whole if self.keep == "all" else {k: x[:, 0] for k, x in whole.items()}
    )


def _noted(
  decode: Decode, skip: int, score: Callable[[Made], jax.Array] | None
) -> Decode:
  """Results of (trial, code) that say how they were made, and how good."""

  def call(code, scale):
    trial, code = code
    made = decode(code, scale)
    made |= {SCORE: score(made)} if score else {}
    b = len(next(iter(made.values())))
    how = {
      "skip": jnp.int32(skip),
      "scale": jnp.float32(scale),
      "trial": jnp.int32(trial),
    }
    return made | {name: jnp.full(b, x) for name, x in how.items()}

  return call


def better(best: Made, made: Made) -> Made:
  """Of each example the result of the higher score; the first if equal."""
  wins = made[SCORE] > best[SCORE]
  pick = lambda new, old: jnp.where(
    wins.reshape(-1, *[1] * (new.ndim - 1)), new, old
  )
  return jax.tree.map(pick, made, best)


def all_of(
  encode: Encode, decode: Decode, trials: Any, scales: tuple[float, ...]
) -> Made:
  """All results [b, trials * scales, ...], scales within trials."""

  def of_trial(_, trial):
    code = encode(trial)
    return None, _over(lambda _, s: (None, decode(code, s)), None, scales)[1]

  _, made = jax.lax.scan(of_trial, None, trials)
  whole = lambda x: x.reshape(-1, *x.shape[2:])
  return jax.tree.map(lambda x: jnp.moveaxis(whole(x), 0, 1), made)


def best_of(
  encode: Encode,
  decode: Decode,
  trials: Any,
  scales: tuple[float, ...],
  found: Made | None = None,
) -> Made:
  """The result of the highest score; found: the best so far."""
  if found is None:
    first = jax.tree.map(lambda x: x[0], trials)
    like = jax.eval_shape(lambda t: decode(encode(t), scales[0]), first)
    found = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), like)
    found[SCORE] = jnp.full_like(found[SCORE], -jnp.inf)

  def of_trial(found, trial):
    code = encode(trial)
    one = lambda found, scale: (better(found, decode(code, scale)), None)
    return _over(one, found, scales)[0], None

  return jax.lax.scan(of_trial, found, trials)[0]


def _over(fn: Callable, carry: Any, scales: tuple[float, ...]) -> Any:
  """`lax.scan` over numbers, of which a single one stays one."""
  if len(scales) > 1:
    return jax.lax.scan(fn, carry, jnp.asarray(scales, jnp.float32))
  carry, made = fn(carry, scales[0])
  return carry, jax.tree.map(lambda x: x[None], made)
