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

P = jax.sharding.PartitionSpec
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
  """A mesh over all devices; one axis may be -1, which takes what is left.

  Neighbours on a chip's own network come to lie along the last axes.

  Args:
    sizes: of the axes; those not given are 1. replica=0: the slices there are;
      fsdp=0: what divides the devices, at most RING.
    devices: to be used; None: all.

  Raises:
    UserError: sizes do not multiply to the number of devices, or slices are
      not what `replica` counts.
  """
  devices = list(jax.devices() if devices is None else devices)
  slices = len({getattr(d, "slice_index", 0) for d in devices})
  shape = {axis: sizes.get(axis, 1) for axis in AXES}
  shape["replica"] = sizes.get("replica", 0) or slices
  free = [axis for axis, size in shape.items() if size == -1]
  fixed = int(np.prod([s for s in shape.values() if s > 0]))
  if not shape["fsdp"]:
    shape["fsdp"] = math.gcd(RING, len(devices) // fixed)
    fixed *= shape["fsdp"]
  if len(free) == 1 and fixed and len(devices) % fixed == 0:
    shape[free[0]] = len(devices) // fixed
  if np.prod(list(shape.values())) != len(devices) or len(free) > 1:
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


def _grid(shape: tuple[int, ...], devices: list[Any], slices: int):
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


def _plus(entry: Any, axis: str) -> Any:
  """One dimension's entry of a spec, split over one more axis."""
  if entry is None:
    return axis
  return (*(entry if isinstance(entry, tuple) else (entry,)), axis)


def add_axis(
  spec: P, shape: tuple[int, ...], name: str, axis: str, mesh: Mapping[str, int]
) -> P | None:
  """`spec` with one more axis, on the largest dimension that divides.

  The size that counts is what the axes in `spec` leave. Of equal ones the
  last; never the layer dimension of stacked parameters, since a scan would
  gather a layer from one chip at a time.

  Args:
    spec: what is taken already.
    shape: of the array.
    name: of the leaf.
    axis: mesh axis to add.
    mesh: axis -> size.

  Returns:
    the spec, or None where no dimension divides.
  """
  entries = [*spec, *[None] * (len(shape) - len(spec))]
  ways = [
    int(np.prod([mesh[a] for a in (e if isinstance(e, tuple) else (e,)) if a]))
    for e in entries
  ]
  left = [n // w for n, w in zip(shape, ways, strict=True)]
  first = int(trees.stacked(name))
  fits = [i for i in range(first, len(shape)) if left[i] % mesh[axis] == 0]
  if not fits:
    return None
  best = max(fits, key=lambda i: (left[i], i))
  entries[best] = _plus(entries[best], axis)
  return trimmed(entries)


def trimmed(entries: Sequence[Any]) -> P:
  """A spec without the Nones at its end."""
  entries = list(entries)
  while entries and entries[-1] is None:
    entries.pop()
  return P(*entries)


def fsdp_spec(shape: tuple[int, ...], name: str, size: int) -> P | None:
  """The largest dimension that divides by `size` over "fsdp", or None."""
  return add_axis(P(), shape, name=name, axis="fsdp", mesh={"fsdp": size})


class Layout:
  """Chooses a sharding for every leaf of a tree.

  Attributes:
    missed: name -> reason, of the leaves a rule could not be applied to.
  """

  def __init__(
    self,
    mesh: jax.sharding.Mesh,
    rules: Sequence[tuple[str, Sequence[str | None]]] = (),
    min_size: int = 0,
    zero: bool = False,
  ):
    """Keeps the rules.

    Args:
      mesh: device mesh.
      rules: (regex, mesh axis or None per dimension); the first match wins
        over the default rule.
      min_size: arrays with fewer elements are replicated.
      zero: optimizer state and EMA are split over `data` too.
    """
    self.mesh, self.rules, self.min_size = mesh, tuple(rules), min_size
    self.zero = zero
    self.missed: dict[str, str] = {}

  def spec(self, name: str, leaf: Any) -> P:
    """The partition spec of one leaf, by name and shape."""
    spec = self._of_parameter(name, leaf)
    if self.zero and re.match(r"(opt|ema|grads)/", name):
      spec = self._add(spec, "data", name, leaf)
    return spec

  def _of_parameter(self, name, leaf) -> P:
    for pattern, axes in self.rules:
      if trees.matches(pattern, name):
        return self._explicit(pattern, tuple(axes), name, leaf.shape)
    spec = self._by_name(name, leaf.shape)
    return self._add(spec, "fsdp", name, leaf)

  def _add(self, spec, axis, name, leaf) -> P:
    """One more axis, unless the array is small or does not divide."""
    size, shape = self.mesh.shape.get(axis, 1), leaf.shape
    if size == 1 or not shape or np.prod(shape) < self.min_size:
      return spec
    found = add_axis(spec, shape, name=name, axis=axis, mesh=self.mesh.shape)
    if found is None:
      self.missed[name] = f"{shape}: no dimension divides by {axis}={size}"
    return spec if found is None else found

  def _by_name(self, name, shape) -> P:
    """What `expert` and `tensor` split."""
    rules = [("tensor", d) for p, d in TENSOR if trees.matches(p, name)]
    if "experts" in name.split("/"):
      rules.append(("expert", int(trees.stacked(name)) - len(shape)))
    entries = [None] * len(shape)
    for axis, dim in rules:
      size = self.mesh.shape.get(axis, 1)
      if size == 1 or len(shape) + dim < 0:
        continue
      if shape[dim] % size:
        self.missed[name] = f"{shape}: {shape[dim]} not over {axis}={size}"
      else:
        entries[dim] = _plus(entries[dim], axis)
    return trimmed(entries)

  def _explicit(self, pattern, axes, name, shape) -> P:
    unknown = [a for a in axes if a is not None and a not in self.mesh.shape]
    if unknown or len(axes) > len(shape):
      raise errors.UserError(
        f"rule {(pattern, axes)} for {name} {shape}",
        f"<= {len(shape)} axes, each None or one of {self.mesh.axis_names}",
        "correct the rule",
        "hardware.shard_rules",
      )
    for dim, axis in zip(shape, axes, strict=False):
      if axis and dim % self.mesh.shape[axis]:
        self.missed[name] = f"{shape}: {dim} does not divide over {axis!r}"
        return P()
    return P(*axes)

  def tree(self, tree: Any) -> Any:
    """NamedSharding for every leaf of `tree` (arrays or shapes)."""
    return trees.map_named(
      lambda n, x: jax.sharding.NamedSharding(self.mesh, self.spec(n, x)), tree
    )

  def gradients(self, grads: Any) -> Any:
    """Inside a step: gradients laid out as the moments they change.

    So the compiler may give each chip the sum of its own part only
    (reduce-scatter) instead of all of it (all-reduce).
    """
    # What cannot be split was noted for the moments already.
    own = Layout(self.mesh, self.rules, self.min_size, self.zero)
    where = own.tree({"grads": grads})["grads"]
    return jax.lax.with_sharding_constraint(grads, where)


def check_batch(batch: int, accumulate: int, mesh: jax.sharding.Mesh) -> None:
  """Raises UserError unless micro-batches split evenly over the devices."""
  ways = int(np.prod([mesh.shape[a] for a in BATCH_AXES]))
  if batch % (accumulate * ways):
    raise errors.UserError(
      f"data.batch={batch} over {ways} devices in {accumulate} micro-batches",
      f"a multiple of {ways * accumulate}",
      f"use {max(1, round(batch / (ways * accumulate))) * ways * accumulate}",
      "data.batch",
    )
