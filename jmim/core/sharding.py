"""Meshes and where arrays live on them.

Mesh axes: `data` splits the batch; `fsdp` splits the batch and the parameters
(with optimizer state and EMA). Parameters follow one rule: the largest
dimension that divides goes over `fsdp`; small arrays are replicated.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from jmim.core import errors
from jmim.core import tree as trees

P = jax.sharding.PartitionSpec
AXES = ("data", "fsdp")
BATCH_AXES = ("data", "fsdp")


def make_mesh(
  sizes: Mapping[str, int], devices: Sequence[Any] | None = None
) -> jax.sharding.Mesh:
  """A mesh over all devices; one axis may be -1, which takes what is left.

  Raises:
    UserError: sizes do not multiply to the number of devices.
  """
  devices = list(jax.devices() if devices is None else devices)
  shape = {axis: sizes[axis] for axis in AXES}
  free = [axis for axis, size in shape.items() if size == -1]
  fixed = int(np.prod([s for s in shape.values() if s != -1]))
  if len(free) == 1 and fixed and len(devices) % fixed == 0:
    shape[free[0]] = len(devices) // fixed
  if np.prod(list(shape.values())) != len(devices) or len(free) > 1:
    raise errors.UserError(
      f"mesh {dict(sizes)} on {len(devices)} devices",
      "sizes that multiply to the number of devices, at most one of them -1",
      f"set hardware.mesh.data=-1 and fsdp to a divisor of {len(devices)}",
      "hardware.mesh",
    )
  grid = np.asarray(devices).reshape(tuple(shape.values()))
  return jax.sharding.Mesh(grid, AXES)


def batch_sharding(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """Dimension 0 over all batch axes."""
  return jax.sharding.NamedSharding(mesh, P(BATCH_AXES))


def replicated(mesh: jax.sharding.Mesh) -> jax.sharding.NamedSharding:
  """One copy per device."""
  return jax.sharding.NamedSharding(mesh, P())


def fsdp_spec(shape: tuple[int, ...], name: str, size: int) -> P | None:
  """The largest dimension that divides by `size` over "fsdp".

  Of equal ones the last; never the layer dimension of stacked parameters,
  since a scan would gather a layer from one chip at a time.

  Returns:
    the spec, or None where no dimension divides.
  """
  first = int(trees.stacked(name))
  fits = [i for i in range(first, len(shape)) if shape[i] % size == 0]
  if not fits:
    return None
  best = max(fits, key=lambda i: (shape[i], i))
  return P(*[None] * best, "fsdp")


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
  ):
    """Keeps the rules.

    Args:
      mesh: device mesh.
      rules: (regex, mesh axis or None per dimension); the first match wins
        over the default rule.
      min_size: arrays with fewer elements are replicated.
    """
    self.mesh, self.rules, self.min_size = mesh, tuple(rules), min_size
    self.missed: dict[str, str] = {}

  def spec(self, name: str, leaf: Any) -> P:
    """The partition spec of one leaf, by name and shape."""
    for pattern, axes in self.rules:
      if trees.matches(pattern, name):
        return self._explicit(pattern, tuple(axes), name, leaf.shape)
    size = self.mesh.shape["fsdp"]
    if size == 1 or not leaf.shape or np.prod(leaf.shape) < self.min_size:
      return P()
    spec = fsdp_spec(leaf.shape, name, size)
    if spec is None:
      self.missed[name] = f"{leaf.shape}: no dimension divides by fsdp={size}"
    return spec or P()

  def _explicit(self, pattern, axes, name, shape) -> P:
    unknown = [a for a in axes if a is not None and a not in self.mesh.shape]
    if unknown or len(axes) > len(shape):
      raise errors.UserError(
        f"rule {(pattern, axes)} for {name} {shape}",
        f"<= {len(shape)} axes, each None or one of {self.mesh.axis_names}",
        "correct the rule", "hardware.shard_rules",
      )  # fmt: skip
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
