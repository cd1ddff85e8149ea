"""--mode=describe: the model of a recipe as a table; nothing is trained.

    module, shape, parameters, forward FLOPs per image, sharding

No data is read and no parameter is computed: `init` and `loss` are traced.
Repeated layers are stored as one array, so they are one row.
"""

import collections
import dataclasses
from typing import Any

import jax
import ml_collections

from jmim.core import tree as trees
from jmim.core import validate
from jmim.cost import attribute
from jmim.cost import summary
from jmim.cost import work as works
from jmim.parallel import sharding
from jmim.runlog import console as consoles
from jmim.session import build
from jmim.session import checks

HEADER = ("module", "shape", "parameters", "FLOPs", "sharding")


def run(
  config: ml_collections.ConfigDict, console: consoles.Console | None = None
) -> None:
  """Prints the table.

  Args:
    config: of the recipe.
    console: where; None: the terminal.

  Raises:
    UserError: a mistake in the config.
  """
  validate.validate(config)
  method = build.make_method(config)
  hardware = config.hardware
  mesh = sharding.make_mesh(hardware.mesh)
  layout = build.make_layout(hardware, mesh, method.axes())
  method = dataclasses.replace(method, rt=build.make_runtime(hardware, mesh))
  shapes = checks.check_parameters(config, method, layout)
  cost = costs(method, config.data.batch)
  show(
    console or consoles.Console(),
    config,
    shapes=shapes,
    layout=layout,
    cost=cost,
  )


def costs(method: Any, batch: int) -> dict[str, int]:
  """Leaf name -> forward FLOPs per example of the losses of all players."""
  given = {
    name: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  params, extra = jax.eval_shape(method.init, jax.random.key(0), given)
  consts = {
    name: jax.eval_shape(c.init, jax.random.key(0))
    for name, c in method.consts().items()
  }

  def losses(params, extra, consts, given, key):
    draws = method.draw(key, given, 0)
    return [
      method.loss(p, params, extra, consts, given, draws, 0)[0]
      for p in method.players
    ]

  key = jax.random.key(0)
  found = attribute.by_leaf(losses, params, extra, consts, given, key)
  return {name: n // batch for name, n in found.items()}


def rows(
  shapes: Any, layout: sharding.Layout, cost: dict[str, int]
) -> list[tuple[str, ...]]:
  """One row per module that has arrays of its own, as text.

  Shape and sharding are those of its largest array.
  """
  places = trees.named(layout.tree({"params": shapes})["params"])
  modules = collections.defaultdict(dict)
  for name, leaf in trees.named(shapes).items():
    modules[name.rpartition("/")[0]][name] = leaf
  found = []
  for module, leaves in modules.items():
    largest = max(leaves, key=lambda n: leaves[n].size)
    total = sum(cost.get(n, 0) for n in leaves)
    found.append(
      (
        module if len(leaves) > 1 else largest,  # a lone array by its own name
        str(tuple(leaves[largest].shape)),
        f"{sum(x.size for x in leaves.values()):,}",
        consoles.size(total) if total else "",
        summary.layout(places[largest].spec),
      )
    )
  return found


def show(
  console: consoles.Console,
  config: ml_collections.ConfigDict,
  shapes: Any,
  layout: sharding.Layout,
  cost: dict[str, int],
) -> None:
  """Prints the table, what belongs to no module, and the sums."""
  inputs = f"{config.method.type}, batch {config.data.batch}"
  found = rows(shapes, layout, cost)
  named = trees.named(shapes)
  if other := sum(n for name, n in cost.items() if name not in named):
    found.append(
      ("(no parameter of the run)", "", "", consoles.size(other), "")
    )
  forward, count = sum(cost.values()), sum(x.size for x in named.values())
  found.append(("in all", "", f"{count:,}", consoles.size(forward), ""))
  console.table(inputs, HEADER, found)
  console.print(
    f"FLOPs: forward, per example; those that a gradient passes through cost "
    f"{works.TRAIN} x as much in a training step. Products of two activations "
    "count for the module used last before them."
  )
  axes = " x ".join(f"{k}={v}" for k, v in layout.mesh.shape.items())
  console.print(f"mesh {axes}; arrays in rows are stacked over layers")
