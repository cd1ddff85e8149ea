"""Meshes and where arrays live on them.

Mesh axes, from the slowest network to the fastest:

    replica  copies on slices of a pod that only a data-centre network joins
    data     splits the batch
    fsdp     splits the batch and the parameters
    expert   splits the batch and, among `experts`, the experts
    tensor   splits the inside of attention and MLP (Shoeybi et al. 2019)

Parameters follow one rule: the largest dimension that divides goes over
`fsdp`, after `tensor` and `expert` took theirs by name; small arrays are
replicated. Optimizer state and EMA lie where their parameters lie and may be
split over `data` as well (ZeRO: Rajbhandari et al. 2020).
"""

import math
import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import mesh_utils

from jmim.core import errors
from jmim.core import tree as trees
from jmim.parallel import partition

P = jax.sharding.PartitionSpec
Shape = tuple[int, ...]
Rule = tuple[str, Sequence[str | None]]  # regex of names, axis per dimension
AXES = ("replica", "data", "fsdp", "expert", "tensor")
BATCH_AXES = ("replica", "data", "fsdp", "expert")
RING = 16  # chips along a side of a pod slice; more shards get too small

# Dimension that `tensor` splits, from the end: the outputs of what opens
# attention or MLP, the inputs of what closes it.
TENSOR = (
  (r"/(attn|cross)\w*/(qkv|q|k|v)/kernel$", -1),
  (r"/mlp/(fc1|gate|up)/(kernel|bias)$", -1),
  (r"/(attn|cross)\w*/proj/kernel$", -2),
  (r"/mlp/(fc2|down)/kernel$", -2),
)


def make_mesh(
  sizes: Mapping[str, int], devices: Sequence[Any] | None = None
) -> jax.sharding.Mesh:
  """A mesh over all devices; one axis may be -1, which takes the rest.

  Neighbours on a chip's own network come to lie along the last axes.

  Args:
    sizes: of the axes; others are 1. replica=0: as many as there are slices;
      fsdp=0: what divides the devices, at most RING.
    devices: that it is made of; None: all.

  Raises:
    UserError: sizes do not multiply to the number of devices, or slices are
      not what `replica` counts.
  """
  devices = list(jax.devices() if devices is None else devices)
  slices = len({getattr(d, "slice_index", 0) for d in devices})
  shape = {axis: sizes.get(axis, 1) for axis in AXES}
  shape["replica"] = sizes.get("replica", 0) or slices
  free = [axis for axis, size in shape.items() if size == -1]
  fixed = math.prod(s for s in shape.values() if s > 0)
  if not shape["fsdp"]:
    shape["fsdp"] = math.gcd(RING, len(devices) // fixed)
    fixed *= shape["fsdp"]
  if len(free) == 1 and fixed and len(devices) % fixed == 0:
    shape[free[0]] = len(devices) // fixed
  if math.prod(shape.values()) != len(devices) or len(free) > 1:
    raise errors.UserError(
      f"mesh {dict(sizes)} on {len(devices)} devices",
      "sizes that multiply to the number of devices, at most one of them -1",
      f"set hardware.mesh.data=-1 and fsdp to a divisor of {len(devices)}",
      "hardware.mesh",
    )
  if slices > 1 and shape["replica"] != slices:
    raise errors.UserError(
      f"hardware.mesh.replica={shape['replica']} on {slices} slices",
      "one replica per slice: the others' traffic is not for a DCN",
      "set hardware.mesh.replica=0",
      "hardware.mesh.replica",
    )
  return jax.sharding.Mesh(_grid(tuple(shape.values()), devices, slices), AXES)


def _grid(shape: Shape, devices: list[Any], slices: int):
  """Devices as an array of the mesh's shape."""
  if devices[0].platform != "tpu":
    return np.asarray(devices).reshape(shape)
  if slices > 1:
    return mesh_utils.create_hybrid_device_mesh(
      (1, *shape[1:]),
      (slices, *[1] * (len(shape) - 1)),
      devices,
      allow_split_physical_axes=True,
    )
  return mesh_utils.create_device_mesh(
    shape, devices, allow_split_physical_axes=True
  )


def batch_sharding(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """Dimension 0 over all batch axes."""
  return jax.sharding.NamedSharding(mesh, P(BATCH_AXES))


def replicated(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """One copy per device."""
  return jax.sharding.NamedSharding(mesh, P())


class Layout:
  """Chooses a sharding for every leaf of a tree; a pure function of its rules.

  Attributes:
    mesh: device mesh.
  """

  def __init__(
    self,
    mesh: jax.sharding.Mesh,
    rules: Sequence[Rule] = (),
    *,
    axes: Sequence[Rule] = (),
    min_size: int = 0,
    zero: bool = False,
  ):
    """Keeps the rules.

    Args:
      mesh: device mesh.
      rules: (regex, mesh axis or None per dimension) of the user; the first
        match wins over the default rule, and an unknown axis is an error.
      axes: rules of a method (`Method.axes`), after those of the user. A
        method knows no mesh: an axis that the mesh lacks, or that does not
        divide the dimension, is passed over.
      min_size: arrays with fewer elements are replicated.
      zero: optimizer state and EMA are split over `data` too.
    """
    self.mesh = mesh
    self._rules, self._axes = tuple(rules), tuple(axes)
    self._min_size, self._zero = min_size, zero

  def plan(self, tree: Any) -> tuple[Any, dict[str, str]]:
    """Where the leaves of a tree (arrays or shapes) lie.

    Returns:
      (NamedSharding of every leaf; name -> reason, of the leaves that a rule
      could not be applied to).

    Raises:
      UserError: a rule of the user that cannot mean anything.
    """
    missed = {}

    def place(name, leaf):
      spec, reason = self.place(name, leaf)
      if reason:
        missed[name] = reason
      return jax.sharding.NamedSharding(self.mesh, spec)

    return trees.map_named(place, tree), missed

  def tree(self, tree: Any) -> Any:
    """NamedSharding of every leaf of a tree; see `plan`."""
    return self.plan(tree)[0]

  def spec(self, name: str, leaf: Any) -> P:
    """The partition spec of one leaf; see `place`."""
    return self.place(name, leaf)[0]

  def place(self, name: str, leaf: Any) -> tuple[P, str]:
    """The partition spec of one leaf, and what could not be split, and why.

    Args:
      name: of the leaf, which rules are matched with.
      leaf: array or shape.

    Raises:
      UserError: as `plan`.
    """
    spec, reason = self._of_parameter(name, leaf.shape)
    if self._zero and re.match(r"(opt|ema|grads)/", name):
      spec, more = self._add(spec, "data", name, leaf.shape)
      reason = more or reason
    return spec, reason

  def _of_parameter(self, name: str, shape: Shape) -> tuple[P, str]:
    """By the first rule that matches, else by name and size."""
    for pattern, axes in self._rules:
      if trees.matches(pattern, name):
        self._check(pattern, axes, name, shape)
        return self._by_rule(axes, shape)
    for pattern, axes in self._axes:
      if trees.matches(pattern, name):
        if len(axes) > len(shape):
          raise ValueError(f"axes() has {tuple(axes)} for {name} {shape}")
        return self._by_rule(axes, shape, lenient=True)
    spec, reason = self._by_name(name, shape)
    spec, more = self._add(spec, "fsdp", name, shape)
    return spec, more or reason

  def _add(self, spec: P, axis: str, name: str, shape: Shape) -> tuple[P, str]:
    """One more axis, unless the array is small or does not divide."""
    size = self.mesh.shape.get(axis, 1)
    if size == 1 or not shape or math.prod(shape) < self._min_size:
      return spec, ""
    wider = partition.add_axis(
      spec, shape, name=name, axis=axis, mesh=self.mesh.shape
    )
    if wider is None:
      return spec, f"{shape}: no dimension divides by {axis}={size}"
    return wider, ""

  def _by_name(self, name: str, shape: Shape) -> tuple[P, str]:
    """What `expert` and `tensor` split."""
    rules = [("tensor", d) for p, d in TENSOR if trees.matches(p, name)]
    if "experts" in name.split("/"):
      rules.append(("expert", int(trees.stacked(name)) - len(shape)))
    entries, reason = [None] * len(shape), ""
    for axis, dim in rules:
      size = self.mesh.shape.get(axis, 1)
      if size == 1 or len(shape) + dim < 0:
        continue
      if shape[dim] % size:
        reason = f"{shape}: {shape[dim]} not over {axis}={size}"
      else:
        entries[dim] = partition.plus(entries[dim], axis)
    return partition.trimmed(entries), reason

  def _by_rule(
    self, axes: Sequence[str | None], shape: Shape, lenient: bool = False
  ) -> tuple[P, str]:
    """The spec of a rule; a lenient one splits what can be split."""
    entries, reason = [], ""
    for size, axis in zip(shape, axes, strict=False):
      ways = self.mesh.shape.get(axis, 0) if axis else 1
      fits = bool(ways) and size % ways == 0
      if ways and not fits:
        reason = f"{shape}: {size} does not divide over {axis!r}"
      entries.append(axis if fits else None)
    if reason and not lenient:
      return P(), reason
    return partition.trimmed(entries) if lenient else P(*axes), reason

  def _check(
    self, pattern: str, axes: Sequence[str | None], name: str, shape: Shape
  ) -> None:
    """Raises UserError for a rule that names no axes of this array."""
    known = self.mesh.axis_names
    unknown = [a for a in axes if a is not None and a not in known]
    if unknown or len(axes) > len(shape):
      raise errors.UserError(
        f"rule {(pattern, tuple(axes))} for {name} {shape}",
        f"<= {len(shape)} axes, each None or one of {known}",
        "correct the rule",
        "hardware.shard_rules",
      )

  def gradients(self, grads: Any) -> Any:
    """Inside a step: gradients laid out as the moments they change.

    So the compiler may give each chip the sum of its own part only
    (reduce-scatter) instead of all of it (all-reduce).
    """
    where = self.tree({"grads": grads})["grads"]
    return jax.lax.with_sharding_constraint(grads, where)


def check_batch(batch: int, accumulate: int, mesh: jax.sharding.Mesh) -> None:
  """Raises UserError unless micro-batches split evenly over the devices."""
  ways = math.prod(mesh.shape[a] for a in BATCH_AXES)
  if batch % (accumulate * ways):
    raise errors.UserError(
      f"data.batch={batch} over {ways} devices in {accumulate} micro-batches",
      f"a multiple of {ways * accumulate}",
      f"use {max(1, round(batch / (ways * accumulate))) * ways * accumulate}",
      "data.batch",
    )
