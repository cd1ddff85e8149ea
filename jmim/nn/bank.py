"""Keys and values of self-attentions, kept of one pass and shown to another.

Zhu et al. 2024 (DiffewS): queries of one image attend to its own tokens and to
those of other images, whose keys and values a pass of the same network left
behind.
"""

import contextlib
import re
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence

import einops
import flax.linen as nn
import jax
import jax.numpy as jnp

from jmim.nn import attention

# Path of a self-attention's parameters -> keys and values [b, heads, s, d] and,
# unless all may be seen, which may: bool [b, s].
Bank = Mapping[str, tuple[jax.Array, ...]]
_SELF = re.compile(r"attn|self_\d+")


@contextlib.contextmanager
def shown(
  above: Sequence[str], bank: Bank | None
) -> Iterator[dict[str, tuple[jax.Array, ...]]]:
  """Self-attentions that run meanwhile see their own tokens, then the bank's.

  Args:
    above: path of the network they are in.
    bank: of each of them by name; None or {}: they see their own tokens.

  Yields:
    what fills up: name -> their own keys and values, after the linear maps.

  Raises:
    ValueError: a bank that lacks one of them, or has others.
  """
  own, given = {}, bank or {}

  def intercept(run, args, kwargs, context):
    module = context.module
    path = module.path[len(above) :] if module.path else ()
    # The layers of a stack count from where they are themselves.
    owner = path[-2] if len(path) > 1 else ""
    if not isinstance(module, attention.Attend) or not _SELF.fullmatch(owner):
      return run(*args, **kwargs)
    q, k, v = args
    name = "/".join(path[:-1])
    own[name] = (k, v)
    if given:
      if name not in given:
        raise ValueError(f"a bank of {sorted(given)} without {name}")
      k, v, seen = _joined(k, v, *given[name])
      kwargs = kwargs | seen
    return run(q, k, v, **kwargs)

  with nn.intercept_methods(intercept):
    yield own
  if unknown := set(given) - set(own):
    raise ValueError(
      f"a bank of {sorted(unknown)}: self-attentions here are {sorted(own)}"
    )


def _joined(k, v, more_k, more_v, seen=None):
  """Keys, values, and a mask where some of the given ones are not seen."""
  join = lambda a, b: jnp.concatenate([a, b.astype(a.dtype)], axis=2)
  told = {}
  if seen is not None:
    own = jnp.ones((k.shape[0], k.shape[2]), bool)
    told["mask"] = jnp.concatenate([own, seen], axis=1)
  return join(k, more_k), join(v, more_v), told


def folded(
  bank: Bank, shots: int, shown: jax.Array | None = None
) -> dict[str, tuple[jax.Array, ...]]:
  """Images of one example side by side: [(b n), h, s, d] -> [b, h, (n s), d].

  Args:
    bank: of images, those of one example one after the other.
    shots: n.
    shown: bool [b, n], which of them may be seen; None: all.
  """
  fold = lambda x: einops.rearrange(x, "(b n) h s d -> b h (n s) d", n=shots)
  made = {}
  for name, (k, v) in bank.items():
    seen = ()
    if shown is not None:
      seen = (jnp.repeat(shown, k.shape[2], axis=1),)
    made[name] = (fold(k), fold(v), *seen)
  return made
