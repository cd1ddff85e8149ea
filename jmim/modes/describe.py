"""--mode=describe: the model of a recipe as a table; nothing is trained.

    module, shape, parameters, forward FLOPs per image, sharding

No data is read and no parameter is computed: `init` and `loss` are traced.
Repeated layers are stored as one array, so they are one row.
"""

import collections
import pathlib
from typing import Any

import jax
import ml_collections

from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.cost import flops_by_leaf
from jmim.cost import summary
from jmim.parallel import sharding
from jmim.runlog import console as consoles
from jmim.session import assemble

HEADER = ("module", "shape", "parameters", "FLOPs", "sharding")


def run(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path | None = None,
  console: consoles.Console | None = None,
) -> None:
  """Prints the table.

  Args:
    config: of the recipe.
    workdir: is left alone.
    console: where; None: the terminal.

  Raises:
    UserError: a mistake in the config.
  """
  del workdir
  model = assemble.prepare(config)
  show(console or consoles.Console(), config, model)


def costs(method: methods.Method, batch: int) -> dict[str, int]:
  """Leaf name -> forward FLOPs per example of the losses of all players."""
  inputs = {
    name: jax.ShapeDtypeStruct((batch, *x.shape), x.dtype)
    for name, x in method.inputs().items()
  }
  key = jax.random.key(0)
  params, extra = jax.eval_shape(method.init, key, inputs)
  consts = assemble.make_consts(method, {}, empty=True)

  def losses(params, rest):
    extra, consts, batch = rest
    weights = methods.Weights(params, extra, consts)
    draws = method.drawn(key, batch)
    return [
      method.loss(weights, batch, draws, 0, player=p)[0] for p in method.players
    ]

  total = flops_by_leaf.count(losses, params, (extra, consts, inputs))
  return {name: n // batch for name, n in total.items()}


def rows(
  shapes: Any, layout: sharding.Layout, cost: dict[str, int]
) -> list[tuple[str, ...]]:
  """One row per module with arrays, as text.

  Shape and sharding are those of its largest array.

  Args:
    shapes: of the parameters, player -> tree.
    layout: where they live.
    cost: leaf name -> FLOPs.
  """
  places = trees.named(layout.tree({"params": shapes})["params"])
  modules = collections.defaultdict(dict)
  for name, leaf in trees.named(shapes).items():
    modules[name.rpartition("/")[0]][name] = leaf
  lines = []
  for module, leaves in modules.items():
    largest = max(leaves, key=lambda n: leaves[n].size)
    total = sum(cost.get(n, 0) for n in leaves)
    lines.append(
      (
        module if len(leaves) > 1 else largest,  # a lone array by its name
        str(tuple(leaves[largest].shape)),
        f"{sum(x.size for x in leaves.values()):,}",
        consoles.size(total) if total else "",
        summary.layout(places[largest].spec),
      )
    )
  return lines


def show(
  console: consoles.Console,
  config: ml_collections.ConfigDict,
  model: assemble.Model,
) -> None:
  """Prints the table, what belongs to no module, and the sums."""
  title = f"{config.method.type}, batch {config.data.batch}"
  cost = costs(model.method, config.data.batch)
  lines = rows(model.shapes, model.layout, cost)
  named = trees.named(model.shapes)
  if other := sum(n for name, n in cost.items() if name not in named):
    lines.append(
      ("(no parameter of the run)", "", "", consoles.size(other), "")
    )
  forward, count = sum(cost.values()), sum(x.size for x in named.values())
  lines.append(("in all", "", f"{count:,}", consoles.size(forward), ""))
  console.table(title, HEADER, lines)
  console.print(
    "FLOPs: forward, per example; in a training step a product costs as much "
    "again for each of its two sides whose gradient is needed. Products of two "
    "activations count for the module used last before them."
  )
  axes = " x ".join(f"{k}={v}" for k, v in model.mesh.shape.items())
  console.print(f"mesh {axes}; arrays in rows are stacked over layers")
