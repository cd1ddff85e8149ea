"""A transformer on clips that is told conditions by name (`nn/nets/stdit.py`).

What it is told ("shown") is a tree of arrays with the clip first:

    known    [b, t, h, w, c]   frames in place of the noisy ones, where
    given    bool [b, t]       says so; a channel of the input says so, too
    told     [b, k, m, w]      tokens for each of k blocks, of a picture
    context  [b, s, e]         vectors for all blocks, if they look at any
    beside   {name: [b, t, h, w, d]}     what the branch sees, if there is one
    keep     {name: [b]}       0 where a condition is left out: "garment" (told
                               and context), and each of `beside`
"""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp

from jmim.core import field
from jmim.core import runtime
from jmim.diffusion import targets
from jmim.nn import sizes
from jmim.nn.nets import stdit

Array = jax.Array
Shown = dict[str, Any]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClipNetwork:
  """Size of the network, and which of its parts there are."""

  body: sizes.Dims = field.part(
    sizes.Dims, "blocks, and the patches that they see", variant="XL/2"
  )
  temporal: bool = field.value(True, "blocks have attention along the frames")
  branch: int = field.value(
    0, "blocks that are copied for the control branch; 0: there is none", low=0
  )
  rt: runtime.Runtime = field.runtime()

  def check(self, size: tuple[int, ...], key: str = "size") -> None:
    """Raises ValueError for frames, or a branch, that there cannot be.

    Args:
      size: (h, w) of what is denoised.
      key: of it, for messages.
    """
    patch, depth = self.body.patch, self.body.size.depth
    if len(size) != 2 or any(side % patch for side in size):
      raise ValueError(
        f"{key}={size}: height and width, multiples of dims.body.patch {patch}"
      )
    self.body.check(patch)
    if self.branch > depth:
      raise ValueError(
        f"dims.branch={self.branch}: copies of the first blocks, and there are "
        f"dims.body.depth {depth}"
      )

  def net(self, out: int, context: bool) -> stdit.STDiT:
    """The network.

    Args:
      out: channels of the prediction.
      context: whether blocks look at one.
    """
    return stdit.STDiT(
      size=self.body.size,
      patch=self.body.patch,
      out=out,
      temporal=self.temporal,
      context=context,
      branch=self.branch,
      rt=self.rt,
    )

  @property
  def teller(self) -> stdit.Told:
    """The network of the picture."""
    return stdit.Told(size=self.body.size, patch=self.body.patch, rt=self.rt)

  def init(
    self,
    key: Array,
    shape: tuple[int, int, int],
    *,
    out: int,
    beside: int,
    context: int,
  ) -> dict[str, Any]:
    """Parameters "net" and "garment"; blocks of the latter begin as copies.

    Args:
      key: of both.
      shape: [h, w, c] of a frame.
      out: channels of the prediction.
      beside: channels that a branch sees.
      context: width of the vectors that blocks look at; 0: there are none.
    """
    k_net, k_told = jax.random.split(key)
    h, w, c = shape
    clip = lambda channels: jnp.zeros((1, 1, h, w, channels))
    told = self.teller.init(k_told, jnp.zeros((1, *shape)))["params"]
    vectors = jnp.zeros((1, 1, max(1, context)))
    more = dict(context=vectors, beside=clip(beside))
    made = self.net(out, bool(context))
    net = made.init(k_net, clip(c + 1), jnp.zeros(1), **more)["params"]
    net, told = stdit.begun(net, told, self.branch)
    return {"net": net, "garment": told}

  def told(self, params: dict[str, Any], z: Array) -> Array:
    """[b, depth, m, w] of a picture's latent [b, h, w, c]."""
    found = self.teller.apply({"params": params["garment"]}, z)
    return found.swapaxes(0, 1)

  def predict(
    self, params: dict[str, Any], x: Array, t: Array, shown: Shown, *, out: int
  ) -> Array:
    """[b, t, h, w, out] float32 at times t [b].

    Args:
      params: of `init`.
      x: noisy clips [b, t, h, w, c].
      t: times.
      shown: see the module.
      out: channels of the prediction.
    """
    keep, more = shown["keep"], {}
    kept = lambda name, x: targets.expand(keep[name], x.ndim) * x
    given = shown["given"][..., None, None, None]
    x = jnp.where(given, shown["known"], x)
    which = jnp.broadcast_to(given, (*x.shape[:-1], 1)).astype(x.dtype)
    if "context" in shown:
      more["context"] = kept("garment", shown["context"])
    if "beside" in shown:
      beside = shown["beside"]
      parts = [kept(name, beside[name]) for name in sorted(beside)]
      more["beside"] = jnp.concatenate(parts, axis=-1)
    return self.net(out, "context" in shown).apply(
      {"params": params["net"]},
      jnp.concatenate([x, which], axis=-1),
      t,
      told=shown["told"].swapaxes(0, 1),
      keep=keep["garment"],
      **more,
    )
