r"""Where the words of a text are looked at, of a frozen model that samples.

Wu et al. 2023 (DiffuMask). A is the cross-attention of a UNet, of the pass that
is told the text; r a side of its maps, s a token:

    A_r[s]  = mean over steps, layers of side r and heads of A   [h_r, w_r]
    m_r[s]  = up(A_r[s]) / max up(A_r[s])          bicubic, a = -0.75
    map     = mean over the word's tokens of mean_r m_r

Maps are added up while it samples: of all steps at once they would not fit.
"""

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.nn import attention
from jmim.nn import hooks
from jmim.nn import resize

Array = jax.Array
Maps = dict[int, Array]  # side -> [b, h, w, tokens], for every row of a text

CROSS = "*cross*/attend"


def by_side(looked: Sequence[Array], sides: tuple[int, int]) -> Maps:
  """Mean over layers of one side and their heads.

  Args:
    looked: attention of each layer [b, heads, places, tokens].
    sides: (h, w) of what is diffused; a layer's map has its aspect.

  Returns:
    height of a map -> [b, h, w, tokens] float32.
  """
  h, w = sides
  found: dict[int, list[Array]] = {}
  for p in looked:
    factor = round((h * w / p.shape[2]) ** 0.5)
    side = (h // factor, w // factor)
    maps = einops.rearrange(
      p.astype(jnp.float32), "b n (h w) s -> n b h w s", h=side[0], w=side[1]
    )
    found.setdefault(side[0], []).append(maps)
  return {r: jnp.concatenate(maps).mean(0) for r, maps in found.items()}


def word(
  maps: Maps, marks: Array, shares: Mapping[int, Array], size: tuple[int, int]
) -> Array:
  """The map of marked tokens, [b, *size] float32 of at most 1.

  Args:
    maps: of `by_side`, a mean over steps.
    marks: [b, tokens], 1 where a token is the word's.
    shares: side -> [b], its share in the mean; sides without one are not read.
    size: (H, W) of the result.

  Returns:
    0 everywhere where no token is marked.
  """
  sides = [r for r in maps if r in shares]

  def one(total, token):
    mark, *each = token
    for r, a in zip(sides, each, strict=True):
      up = resize.images(a[..., None], size, "bicubic")[..., 0]
      most = jnp.maximum(up.max((1, 2), keepdims=True), 1e-20)
      total = total + (mark * shares[r])[:, None, None] * up / most
    return total, None

  tokens = [jnp.moveaxis(maps[r], -1, 0) for r in sides]
  marks = marks.astype(jnp.float32)
  begun = jnp.zeros((len(marks), *size))
  total, _ = jax.lax.scan(one, begun, (marks.T, *tokens))
  return total / jnp.maximum(marks.sum(1), 1.0)[:, None, None]


def shares(sides: Sequence[tuple[int, ...]], label: Array) -> dict[int, Array]:
  """Side -> [b], its share in the mean of an example's class.

  Args:
    sides: of each class.
    label: [b] class of each example.
  """
  every = sorted({r for own in sides for r in own})
  table = np.float32([[(r in own) / len(own) for r in every] for own in sides])
  picked = jnp.asarray(table)[label]
  return {r: picked[:, i] for i, r in enumerate(every)}


def sampled(
  table: samplers.Table,
  denoise: samplers.Denoise,
  x: Array,
  noise: samplers.Noise | None = None,
) -> tuple[Array, Maps]:
  """The end of sampling, and the maps of its texts, means over the calls.

  Args:
    table: the sampler.
    denoise: of a frozen model, see `watched`.
    x: [b, h, w, c] noise to begin with.
    noise: of the steps, see `sampler.sample`.
  """
  keep = lambda level, new, out: (new, out.aux)
  end, total = samplers.sample(
    table, denoise, x=x, noise=noise, callback=keep, summed=True
  )
  return end, jax.tree.map(lambda a: a / len(table), total)


def watched(
  source: model.Diffuser, told: Any, nothing: Any, **options: Any
) -> Callable[..., Any]:
  """`Diffuser.denoise` whose output has the maps [b, ...] as `aux`.

  Of the two passes of guidance the one that is told is looked at.

  Args:
    source: the model.
    told: what it is told.
    nothing: the same of nothing.
    **options: of `Diffuser.denoise`.
  """
  plain = source.denoise(told, nothing, **options)

  def call(x, level):
    with hooks.seen(CROSS) as calls:
      out = plain(x, level)
    return out._replace(aux=of_calls(calls, x))

  return call


def once(source: model.Diffuser) -> Maps:
  """Those of one call on zeros; raises ValueError where there are none."""
  reads = source.reads.items()
  batch = {name: jnp.zeros((1, *x.shape), x.dtype) for name, x in reads}
  x, t = jnp.zeros((1, *source.shape)), jnp.zeros(1)
  with hooks.seen(CROSS) as calls:
    source.network(x, t, source.tell(batch)[0])
  return of_calls(calls, x)


def of_calls(calls: Mapping[str, list[hooks.Call]], x: Array) -> Maps:
  """Maps of the examples x, the first of those that a network saw.

  Args:
    calls: of `hooks.seen(CROSS)`.
    x: [b, h, w, c] what was diffused.
  """
  looked = [_of(one, len(x)) for each in calls.values() for one in each]
  return by_side(looked, x.shape[1:3])


def _of(call: hooks.Call, count: int) -> Array:
  """Attention [b, heads, places, tokens] of the first examples of a call."""
  q, k = (a[:count] for a in call.args[:2])
  options = {n: call.kwargs[n] for n in ("bias", "mask") if n in call.kwargs}
  first = lambda a: a[:count] if a is not None and a.shape[0] > 1 else a
  options = {name: first(a) for name, a in options.items()}
  return attention.probabilities(q, k, **options)
