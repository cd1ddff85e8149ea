"""A place inside a frozen network: a map that is read, and may be moved.

    after   output of the middle, before the first block going up
    before  input of the middle
    middle  behind the second norm of the middle's second residual block
    tokens  those of a transformer, behind one of its blocks
    module  output of any module, by the path of its parameters

The first three are those of Haas et al. 2023 in a UNet; skips are never
touched.
"""

import dataclasses
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import procedure
from jmim.diffusion import injection
from jmim.diffusion import model
from jmim.nn import hooks

Array = jax.Array

# Place -> (module, whether it is its input).
OF_UNET = {
  "after": ("middle_1", False),
  "before": ("middle_0", True),
  "middle": ("middle_1/norm2", False),
}
BLOCKS = "blocks/layers_*"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Place:
  """Which map of a network is h."""

  at: str = field.value(
    "after",
    "place of h: after, before or in the middle of a UNet, tokens of a "
    "transformer, or a module by name",
    choices=(*OF_UNET, "tokens", "module"),
  )
  block: int = field.value(
    -1, "block whose tokens h is, with at=tokens; -1: half of them", low=-1
  )
  module: str = field.value("", "path of a module, with at=module")

  def inside(self, network: Callable[..., Array]) -> injection.Inside:
    """The network with a way to h, see `injection.Inside`."""

    def call(x, t, told, offset=None):
      name, of_input = self._found(network, x, t, told)
      found = []

      def noted(h):
        found.append(h)
        return h if offset is None else h + offset.astype(h.dtype)

      def first(output):
        """Layers of a stack give taps beside their tokens."""
        if isinstance(output, tuple):
          return (noted(output[0]), *output[1:])
        return noted(output)

      reach = lambda h, *more, **options: ((noted(h), *more), options)
      change = hooks.before(reach) if of_input else hooks.after(first)
      with hooks.edited({name: change}):
        raw = network(x, t, told)
      if len(found) > 1:
        raise ValueError(f"{name} is called {len(found)} times, not once")
      return raw, found[0].astype(jnp.float32)

    return call

  def _found(self, network, x, t, told):
    """(name of a module, whether h is its input)."""
    if self.at in OF_UNET:
      return OF_UNET[self.at]
    if self.at == "module":
      return self.module, False
    seen = []

    def look(x, t, told):
      with hooks.seen(BLOCKS) as calls:
        network(x, t, told)
      seen.extend(n for n in calls if re.fullmatch(r"blocks/layers_\d+", n))

    jax.eval_shape(look, x, t, told)
    if self.block >= len(seen):
      raise ValueError(f"block={self.block} of {len(seen)} blocks")
    which = len(seen) // 2 - 1 if self.block < 0 else self.block
    return seen[max(which, 0)], False

  def shape(self, given: procedure.Model) -> tuple[int, ...]:
    """Of h, without the batch; nothing is computed.

    Args:
      given: a model of a procedure, perhaps of shapes alone.

    Raises:
      ValueError: its network has no such place.
    """

    def look(source: model.Diffuser) -> Array:
      batch = {
        name: jnp.zeros((1, *entry.shape), entry.dtype)
        for name, entry in source.reads.items()
      }
      told, nothing = source.tell(batch)
      told = told if nothing is None else nothing
      x, t = jnp.zeros((1, *source.shape)), jnp.zeros(1)
      return self.inside(source.network)(x, t, told)[1]

    try:
      return shapes(given, look).shape[1:]
    except ValueError as e:
      raise ValueError(f"walk.place.at={self.at!r}: {e}") from e


def shapes(
  given: procedure.Model, look: Callable[[model.Diffuser], Any]
) -> Any:
  """Shapes of what a function makes of a diffusion model of a procedure."""
  if given.given is not None:
    return jax.eval_shape(lambda: look(given.given))
  made = lambda weights: look(given.method.diffuser(weights))
  return jax.eval_shape(made, given.weights)
