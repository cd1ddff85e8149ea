"""Two branches of one frozen UNet: what the target takes from the source.

The parts of DiffUHaul (Avrahami et al. 2024) inside it. Both go through it as
one batch, [source; target]. At a call u = 1 - call / calls (1: noise):

    mask     things and places outside of their ellipse do not see each other in
             the joint attention of `nn/grounded.py`
    share    self-attention of the target has keys and values of the source
    anchor   its output is drawn to the source's, the thing's moved; u > until
    copy     its tokens are the source's nearest ones; u <= until

The last three on the way up. `diffusion/dragging.py` has their arithmetic.
"""

import dataclasses
import functools
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.diffusion import dragging
from jmim.diffusion import model
from jmim.diffusion import sampler as samplers
from jmim.nn import ellipses as forms
from jmim.nn import grounded
from jmim.nn import hooks

Array = jax.Array
JOINT = "*_attention/gated_?/joint/attend"


class Scene(NamedTuple):
  """Where what is, on the finest grid of what is diffused.

  Attributes:
    old: bool [b, h, w]: the thing that moves, in the source.
    new: bool [b, h, w]: the same in the target.
    by: [b, 2] (x, y) its shift, in shares of the side.
    places: bool [2 b, k, h, w]: all things, of the source, then of the target.
  """

  old: Array
  new: Array
  by: Array
  places: Array

  @classmethod
  def of(
    cls, ellipses: Array, moved: Array, which: Array, *, by: Array, side: int
  ) -> "Scene":
    """Of ellipses [b, k, 5], and with number which [b] of each row moved."""
    places = forms.inside(jnp.concatenate([ellipses, moved]), side)
    own = jnp.arange(len(places)), jnp.tile(which, 2)
    old, new = jnp.split(places[own], 2)
    return cls(old=old, new=new, by=by, places=places)

  def coarser(self, tokens: int) -> "Scene":
    """old, new [b, n], places [2 b, k, n], by in cells, of a map of tokens."""
    h, w = self.old.shape[1:]
    factor = round((h * w / tokens) ** 0.5)
    flat = lambda x: forms.coarser(x, factor).reshape(*x.shape[:-2], -1)
    old, new, places = map(flat, (self.old, self.new, self.places))
    by = (self.by * (w // factor)).round().astype(jnp.int32)
    return Scene(old=old, new=new, by=by, places=places)


def paired(source: tuple[Any, Any], target: tuple[Any, Any]) -> tuple[Any, Any]:
  """What both branches are told as one batch, and the same of nothing.

  Each is (told, the same of nothing), see `diffusion.model.Diffuser.tell`.
  """
  return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), source, target)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Branches:
  """Which parts there are, and when."""

  mask: bool = field.value(
    True, "things do not see places outside of their ellipse, nor these them"
  )
  share: bool = field.value(
    True, "the target's self-attention has keys and values of the source"
  )
  anchor: str = field.value(
    "linear",
    "share in which early features are the source's: u, all, or none",
    choices=("linear", "whole", "off"),
  )
  copy: str = field.value(
    "all",
    "late tokens that are the source's nearest: the thing's, all, or none",
    choices=("thing", "all", "off"),
  )
  until: float = field.value(
    0.6, "u at which anchoring ends and copying begins", low=0.0, high=1.0
  )
  maps: str = field.value(
    "up*", "maps on which features are taken: a pattern of names"
  )

  def denoise(
    self,
    source: model.Diffuser,
    told: tuple[Any, Any],
    scene: Scene,
    *,
    steps: int,
    **options: Any,
  ) -> samplers.Denoise:
    """Both branches as a sampler calls them, x [2 b, ...].

    Args:
      source: the frozen model.
      told: what both branches are told, and the same of nothing.
      scene: where what is.
      steps: calls of the sampler.
      **options: of `Diffuser.denoise`.
    """
    plain = source.denoise(*told, **options)

    def call(x, level):
      with hooks.edited(self.changes(scene, 1 - level.index / steps)):
        return plain(x, level)

    return call

  def changes(self, scene: Scene, u: Array | float) -> dict[str, hooks.Change]:
    """Name of modules -> what becomes of their calls.

    Args:
      scene: where what is.
      u: how much noise is left, 1 .. 0; may be traced.
    """
    made = {}
    own = f"{self.maps}_attention/self_?"
    if self.mask:
      made[JOINT] = hooks.before(functools.partial(_masked, scene))
    if self.share:
      made[f"{own}/attend"] = hooks.before(functools.partial(_shared, scene))
    if (self.anchor, self.copy) != ("off", "off"):
      made[own] = hooks.after(functools.partial(self.features, scene, u))
    return made

  def features(self, scene: Scene, u: Array | float, x: Array) -> Array:
    """Outputs [(g 2 b), n, c] of a self-attention, the target's changed."""
    at = scene.coarser(x.shape[1])
    b = len(at.old)
    source, target = _halves(x, b)
    times = len(source) // b
    old, new, by = (jnp.tile(a, (times, 1)) for a in (at.old, at.new, at.by))

    def early(target):
      if self.anchor == "off":
        return target
      share = u if self.anchor == "linear" else 1.0
      return dragging.anchored(target, source, old, new, by=by, share=share)

    def late(target):
      if self.copy == "off":
        return target
      rest = self.copy == "all"
      return dragging.copied(target, source, old, new, rest=rest)

    made = jax.lax.cond(u > self.until, early, late, target)
    return _joined(source, made, b)


def _halves(x: Array, b: int) -> tuple[Array, Array]:
  """[(g 2 b), ...] -> source and target [(g b), ...]."""
  parts = x.reshape(-1, 2, b, *x.shape[1:])
  return tuple(parts[:, i].reshape(-1, *x.shape[1:]) for i in range(2))


def _joined(source: Array, target: Array, b: int) -> Array:
  """The inverse of `_halves`."""
  parts = [x.reshape(-1, 1, b, *x.shape[1:]) for x in (source, target)]
  return jnp.concatenate(parts, axis=1).reshape(-1, *source.shape[1:])


def _shared(
  scene: Scene, q: Array, k: Array, v: Array, **more: Any
) -> tuple[tuple, dict[str, Any]]:
  """Arguments of an attention, k and v of the source in both halves."""
  b = len(scene.old)

  def both(x):
    source, _ = _halves(x, b)
    return _joined(source, source, b)

  return (q, both(k), both(v)), more


def _masked(
  scene: Scene, q: Array, k: Array, v: Array, **more: Any
) -> tuple[tuple, dict[str, Any]]:
  """Arguments of a joint attention, and its bias."""
  count = scene.places.shape[1]
  places = scene.coarser(q.shape[2] - count).places
  bias = grounded.masking(places)
  bias = jnp.tile(bias, (len(q) // len(bias), 1, 1, 1))
  return (q, k, v), more | {"bias": bias}
