"""Frozen vision transformers as teachers: families, input, what is read."""

import collections
import dataclasses
import functools
import re
from collections.abc import Mapping
from typing import Any

import flax.core
import jax
import jax.numpy as jnp
import numpy as np

from jmim.core import runtime
from jmim.nn import attention
from jmim.nn import norm
from jmim.nn import resize
from jmim.nn import sizes
from jmim.nn.nets import vit

# Options of `vit.ViT` in which the families differ.
FAMILIES = {
  "clip": dict(
    positions="learned",
    pre_norm=True,
    patch_bias=False,
    style=flax.core.FrozenDict(act="quick_gelu", eps=1e-5),
  ),
  "deit": dict(positions="learned"),
  "dino": dict(positions="learned"),
  "dinov2": dict(positions="learned", layer_scale=1.0),
  "dinov2_registers": dict(positions="learned", layer_scale=1.0, registers=4),
  "mae": {},
}
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
QKV = ("q", "k", "v")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Teacher:
  """A ViT of some family on the grid of its student.

  Letters: b batch, n patches, t tokens (cls, registers and patches), d width,
  h heads.

  Attributes:
    family: one of FAMILIES. "dino" and "deit" are one network: learned
      positions and a class token, as our own classifiers have them too. A
      distilled DeiT, which has a second class token, is not among them, nor
      is DINOv2's g, which has a SwiGLU.
    dims: size and patch; images are resized to fit the grid.
    grid: (h, w) in patches.
    mean: per channel, which the student's images were normalised with.
    std: per channel, which the student's images were normalised with.
    rt: execution choices.
    own_mean: per channel, which the teacher was trained with; (): CLIP's of a
      CLIP, else the student's.
    own_std: per channel, as `own_mean`.
    resize: how images are resized, one of `resize.MATRICES`.
    table_grid: (h, w) that learned positions are stored for (DINOv2: 37, 37);
      None: `grid`.
    final_norm: the norm after the last block is read too (CLIP's `ln_post`),
      after whichever block `read` stops at.
    project: width of CLIP's projection, a map without bias of all tokens
      after the norm; 0: it is left out.
  """

  family: str
  dims: sizes.Dims
  grid: tuple[int, int]
  mean: tuple[float, ...]
  std: tuple[float, ...]
  rt: runtime.Runtime
  own_mean: tuple[float, ...] = ()
  own_std: tuple[float, ...] = ()
  resize: str = "bicubic"
  table_grid: tuple[int, int] | None = None
  final_norm: bool = False
  project: int = 0

  @property
  def size(self) -> sizes.Size:
    """Width, depth, heads."""
    return self.dims.size

  @property
  def patch(self) -> int:
    """Patch side [pixels]."""
    return self.dims.patch

  @property
  def width(self) -> int:
    """Of the features that `read` returns."""
    return self.project or self.size.width

  @property
  def statistics(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation that its images are normalised with."""
    clip = (CLIP_MEAN, CLIP_STD)
    mean, std = clip if self.family == "clip" else (self.mean, self.std)
    return tuple(self.own_mean or mean), tuple(self.own_std or std)

  def agrees(self, key: str) -> dict[str, tuple[str, tuple[float, ...]]]:
    """What a run that trained it must have been given, for `method.Const`.

    Args:
      key: of the section of the config that holds `mean` and `std`.
    """
    mean, std = self.statistics
    return {
      "data.mean": (f"{key}.mean", mean),
      "data.std": (f"{key}.std", std),
    }

  @property
  def encoder(self) -> vit.ViT:
    """The network."""
    return vit.ViT(
      size=self.size,
      patch=self.patch,
      grid=self.grid,
      table_grid=self.table_grid,
      final_norm=self.final_norm,
      rt=self.rt,
      **FAMILIES[self.family],
    )

  def init(self, key: jax.Array) -> Any:
    """Fresh parameters: the structure of the file they are loaded from.

    Those of the encoder; with a projection {"encoder": ..., "head": {"out":
    {"kernel": [d, project]}}}, as `supervised.backbone` names a CLIP's.
    """
    h, w = (g * self.patch for g in self.grid)
    encoder = self.encoder.init(key, jnp.zeros((1, h, w, 3)))["params"]
    if not self.project:
      return encoder
    shape = (self.size.width, self.project)
    kernel = jax.nn.initializers.lecun_normal()(key, shape)
    return {"encoder": encoder, "head": {"out": {"kernel": kernel}}}

  def view(self, images: jax.Array) -> jax.Array:
    """[b, h, w, 3] as normalised for the student -> for the teacher."""
    own, given = self.statistics, (tuple(self.mean), tuple(self.std))
    if own != given:
      mean, std = map(jnp.asarray, given)
      images = images * std + mean
      images = (images - jnp.asarray(own[0])) / jnp.asarray(own[1])
    sides = tuple(g * self.patch for g in self.grid)
    return resize.images(images, sides, self.resize)

  def read(
    self,
    params: Any,
    images: jax.Array,
    *,
    layer: int | None = None,
    qkv: tuple[int, ...] = (),
    importance: bool = False,
  ) -> dict[str, jax.Array]:
    """What is asked for of whole images; without gradient.

    Blocks after the last that is asked for are not run, and of the others
    nothing is kept.

    Args:
      params: as `init` makes them.
      images: [b, h, w, 3] as normalised for the student.
      layer: number of the block whose output is read, from 0, or from -1, the
        last, downwards (DiGIT: -3); None: of none.
      qkv: numbers of the blocks whose q, k and v are read, each once.
      importance: whether the last block's class attention is read.

    Returns:
      with a layer "cls" [b, d] and "patches" [b, n, d], its output after the
      final norm and the projection, where there are such; with qkv "q", "k"
      and "v" [blocks, b, h, t, d / h] in the order asked for, as the
      attention has them, q not yet divided by a square root; "importance" [b,
      n], attention of cls to the patches in the last block, mean over heads:
      it sums to less than 1.

    Raises:
      ValueError: a block that is not there.
    """
    depth = self.size.depth
    place = lambda number: block_number(number, depth)
    wanted: dict[int, set[str]] = collections.defaultdict(set)
    if layer is not None:
      wanted[place(layer)].add("block")
    for number in qkv:
      wanted[place(number)].update(QKV)
    if importance:
      wanted[depth - 1].update("qk")
    taps = self._taps(params, images, wanted)
    out = {}
    if layer is not None:
      x = self._finish(params, taps[place(layer)]["block"])
      out |= {"cls": x[:, 0], "patches": x[:, self.encoder.prefix :]}
    for name in QKV if qkv else ():
      out[name] = jnp.stack([taps[place(i)][name] for i in qkv])
    if importance:
      out["importance"] = self._importance(*map(taps[depth - 1].get, "qk"))
    return jax.tree.map(jax.lax.stop_gradient, out)

  def _net(self, params: Any) -> Any:
    """The parameters of the encoder."""
    return params["encoder"] if self.project else params

  def _taps(
    self, params: Any, images: jax.Array, wanted: Mapping[int, set[str]]
  ) -> dict[int, dict[str, jax.Array]]:
    """Taps of single blocks: number -> tap -> array."""
    run = functools.partial(self.encoder.apply, {"params": self._net(params)})
    x, found, done = run(self.view(images), stop=0)["stream"], {}, 0
    for number in sorted(wanted):
      if done < number:
        x = run(stream=x, start=done, stop=number)["stream"]
      names, done = tuple(sorted(wanted[number])), number + 1
      out = run(stream=x, start=number, stop=done, taps=names)
      found[number] = {name: out[name][0] for name in names}
      x = out["stream"]
    return found

  def _finish(self, params: Any, x: jax.Array) -> jax.Array:
    """[b, t, d] -> [b, t, width]: the norm and the projection."""
    if self.final_norm:
      eps = self.encoder.style.get("eps", 1e-6)
      layer = norm.layer_norm(self.rt, None, eps)
      x = layer.apply({"params": self._net(params)["norm"]}, x)
    if self.project:
      x = x @ params["head"]["out"]["kernel"].astype(x.dtype)
    return x

  def _importance(self, q: jax.Array, k: jax.Array) -> jax.Array:
    """[b, n] attention of cls, of q and k [b, h, t, d / h]."""
    # Only the class token's row of the attention map is computed.
    row = attention.probabilities(q[:, :, :1], k)[:, :, 0]
    return row[:, :, self.encoder.prefix :].mean(1)

  def layers(self, params: Any, images: jax.Array) -> dict[str, jax.Array]:
    """What each block makes of whole images; without gradient (MaskAlign).

    Returns:
      embedded: [b, t, d] what enters the first block.
      block: [blocks, b, t, d] raw outputs.
      importance: [b, n] attention of cls to the patches in the last block,
        mean over heads; sums to less than 1.
    """
    out = self.encoder.apply(
      {"params": self._net(params)},
      self.view(images),
      taps=("block", "q", "k"),
    )
    outputs = {
      "embedded": out["embedded"],
      "block": out["block"],
      "importance": self._importance(out["q"][-1], out["k"][-1]),
    }
    return jax.tree.map(jax.lax.stop_gradient, outputs)


def block_number(number: int, depth: int) -> int:
  """0 .. depth - 1 from a number that may count from -1, the last, downwards.

  Raises:
    ValueError: there is no such block.
  """
  if not -depth <= number < depth:
    raise ValueError(f"block {number} of a teacher with {depth} blocks")
  return number % depth


def layer_weights(kind: str, depth: int) -> np.ndarray:
  """[depth] weights that sum to 1.

  "mean": the same for all; "out": the last layer only; "linear_decay": rising
  from 0; "top<k>": the last k; "mid<k>": layer k only, counted from 0.

  Raises:
    ValueError: none of these, or no such layers.
  """
  top = re.fullmatch(r"top([1-9]\d*)", kind)
  if top and (k := int(top[1])) <= depth:
    return np.repeat((0.0, 1 / k), (depth - k, k))
  mid = re.fullmatch(r"mid(\d+)", kind)
  if mid and (k := int(mid[1])) < depth:
    return np.eye(depth)[k]
  choices = {
    "mean": np.ones(depth),
    "out": np.eye(depth)[-1],
    "linear_decay": np.arange(depth),
  }
  if kind not in choices:
    raise ValueError(f"layers {kind!r} of a teacher with {depth} blocks")
  return choices[kind] / choices[kind].sum()
