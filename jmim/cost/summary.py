"""The tables at the start of a run."""

from typing import Any

import jax
import numpy as np

from jmim.core import tree as trees
from jmim.cost import flops
from jmim.cost import gradient_flops
from jmim.runlog import console as consoles


def total_bytes(tree: Any) -> int:
  """Bytes of all leaves (arrays or shapes), counted once."""
  return sum(x.size * x.dtype.itemsize for x in jax.tree.leaves(tree))


def bytes_per_device(tree: Any, shardings: Any) -> int:
  """Bytes of a tree that one device holds."""
  parts = jax.tree.map(
    lambda x, s: int(np.prod(s.shard_shape(x.shape))) * x.dtype.itemsize,
    tree,
    shardings,
  )
  return sum(jax.tree.leaves(parts))


def modules(params: Any, depth: int = 3) -> list[tuple[str, str, str]]:
  """(module, shape or number of arrays, parameters) down to some depth."""
  groups: dict[str, list] = {}
  for name, leaf in trees.named(params).items():
    groups.setdefault("/".join(name.split("/")[:depth]), []).append(leaf)
  return [
    (
      name,
      str(tuple(leaves[0].shape))
      if len(leaves) == 1
      else f"{len(leaves)} arrays",
      f"{sum(x.size for x in leaves):,}",
    )
    for name, leaves in groups.items()
  ]


def parts(params: Any) -> dict[str, int]:
  """Part of the model -> its parameters: encoder, decoder, head."""
  found: dict[str, int] = {}
  for name, leaf in trees.named(params).items():
    player, _, rest = name.partition("/")
    part = rest.partition("/")[0] if len(params) == 1 else player
    found[part] = found.get(part, 0) + leaf.size
  return found


def largest(
  tree: Any, shardings: Any, n: int = 10
) -> list[tuple[str, str, str, str]]:
  """(name, shape, MB in all, sharding) of the n largest arrays."""
  specs = trees.named(shardings)
  rows = sorted(
    trees.named(tree).items(), key=lambda kv: -kv[1].size * kv[1].dtype.itemsize
  )
  return [
    (
      name,
      str(tuple(x.shape)),
      f"{x.size * x.dtype.itemsize / 2**20:.2f}",
      layout(specs[name].spec),
    )
    for name, x in rows[:n]
  ]


def layout(spec: Any) -> str:
  """A partition spec for people: "(-, fsdp)", or "replicated"."""
  if not any(spec):
    return "replicated"
  return "(" + ", ".join(str(a or "-") for a in spec) + ")"


def memory(state: Any, shardings: Any) -> list[tuple[str, str, str, str]]:
  """(part, MB in all, MB per device, share of it) of what there is."""
  rows = []
  for name in ("params", "opt", "ema"):
    tree, where = getattr(state, name), getattr(shardings, name)
    if jax.tree.leaves(tree):
      local, total = bytes_per_device(tree, where), total_bytes(tree)
      rows.append(
        (
          name,
          f"{total / 2**20:.2f}",
          f"{local / 2**20:.2f}",
          f"{local / total:.4f}",
        )
      )
  return rows


def tables(
  state: Any, shardings: Any, work: gradient_flops.Work
) -> dict[str, Any]:
  """What a person wants to know of a model before it is trained.

  Args:
    state: shapes of the training state.
    shardings: like `state`.
    work: FLOPs per image, by the rule of `cost.flops`.
  """
  n = sum(x.size for x in jax.tree.leaves(state.params))
  step, forward, backward = (
    consoles.size(x, "FLOP") for x in (work.step, work.forward, work.backward)
  )
  return {
    "parameters": n,
    "modules": modules(state.params),
    "memory": memory(state, shardings),
    "largest": largest(state, shardings),
    "short": f"{n:,} parameters: {_shares(parts(state.params))}; "
    f"{step} per image and step",
    "cost": f"{n:,} parameters; {step} per image and step ({forward} forward, "
    f"{backward} backward: 2mnk of every matrix product and convolution)",
  }


def show(
  console: consoles.Console,
  made: dict[str, Any],
  mesh: jax.sharding.Mesh,
  missed: dict[str, str],
) -> None:
  """Prints model, mesh and memory: in short, or in tables if it is verbose.

  Args:
    console: where.
    made: by `tables`.
    mesh: devices.
    missed: leaves the sharding rules could not be applied to.
  """
  if console.verbose:
    console.table("Model", ("module", "shape", "parameters"), made["modules"])
    console.print(made["cost"])
  else:
    console.print(made["short"])
  device = mesh.devices.flat[0]
  sizes = {k: v for k, v in mesh.shape.items() if v > 1} or {"data": 1}
  axes = " x ".join(f"{k}={v}" for k, v in sizes.items())
  held = sum(float(row[2]) for row in made["memory"])
  console.print(
    f"mesh {axes} on {mesh.size} {device.device_kind} device(s), "
    f"{jax.process_count()} process(es); state {held:.2f} MB per device"
  )
  if console.verbose:
    console.table(
      "Memory [MB]", ("part", "in all", "per device", "share"), made["memory"]
    )
    console.table(
      "Ten largest arrays",
      ("array", "shape", "MB", "sharding"),
      made["largest"],
    )
  for name, reason in missed.items():
    console.print(f"replicated: {name} {reason}", style="yellow")


def _shares(sizes: dict[str, int], most: int = 6) -> str:
  """The largest parts of a model in a row: "encoder 453 k, decoder 35.4 k"."""
  order = sorted(sizes.items(), key=lambda x: -x[1])
  shown = [f"{name} {consoles.size(n)}" for name, n in order[:most]]
  rest = sum(n for _, n in order[most:])
  return ", ".join(
    [*shown, *([f"others {consoles.size(rest)}"] if rest else [])]
  )


def peak(mesh: jax.sharding.Mesh) -> tuple[float, str]:
  """(FLOP/s of all devices, how it is known)."""
  device = mesh.devices.flat[0]
  known = flops.peak_per_chip(device)
  if known:
    return known * mesh.size, "data sheet, bf16"
  return flops.measured_peak(), "one measured f32 matmul on this host"
