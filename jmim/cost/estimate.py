"""What a compiled step will cost on its chips: one dictionary, and its tables.

Times are those of a roofline: each resource as busy as its data sheet allows,
all of them at once. So the MFU that follows is a bound, not a promise. Of the
links it is not known how many a collective can use: those of one axis of the
torus, or all; what depends on it is a range.
"""

import dataclasses
import math
from typing import Any

from jmim.cost import hlo_cost
from jmim.parallel import chips
from jmim.runlog import console as consoles

SHOWN = 8  # products in the report
_WASTE = 1.1  # FLOPs with padding over those without, from which it is said
# Of the memory of a chip, beside what the compiler plans for the step.
LEFT_OUT = (
  "batches held ready (hardware.prefetch)",
  "programs of evaluators and their arrays",
  "copies of arrays that are being saved",
  "what the runtime keeps for itself",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Facts:
  """What is known of a compiled step besides its text.

  Attributes:
    devices: chips of the mesh.
    hosts: processes that feed them.
    batch: images per step.
    parameters: numbers in all.
    split: chips over which `tensor` and `expert` split them.
    itemsize: bytes of a number in the compute dtype.
    model_flops: of a training step and image, by the rule of `cost.flops`.
    memory: of a chip, by the compiler: arguments, temporaries, peak [bytes].
    compile_seconds: that the compiler took.
  """

  devices: int
  hosts: int
  batch: int
  parameters: int
  split: int
  itemsize: int
  model_flops: int
  memory: dict[str, int]
  compile_seconds: float


def fsdp_minimum(facts: Facts) -> float:
  """Bytes a chip sends when parameters are gathered twice, gradients once.

  Forward and backward pass need all parameters, and each chip the sum of its
  part of the gradients: three times (n - 1) / n of all, in the compute dtype.
  """
  n = facts.devices / facts.split
  return 3 * facts.itemsize * facts.parameters / facts.split * (n - 1) / n


def report(
  cost: hlo_cost.Cost, facts: Facts, chip: chips.Chip | None
) -> dict[str, Any]:
  """The numbers of a compiled step, per chip and step where nothing is said.

  Args:
    cost: of the program.
    facts: what cannot be read from the program.
    chip: data sheet; None (CPUs): no times, no limits.
  """
  per_chip = facts.model_flops * facts.batch / facts.devices
  sent, minimum = sum(cost.sent().values()), fsdp_minimum(facts)
  numbers = {
    "parameters": facts.parameters,
    "devices": facts.devices,
    "hosts": facts.hosts,
    "batch": facts.batch,
    "memory": dict(facts.memory),
    "flops": {
      "model_per_image": facts.model_flops,
      "model": per_chip,
      "compiled": cost.flops,
      "compiled_over_model": cost.flops / per_chip if per_chip else math.nan,
    },
    "network": {
      "bytes": cost.sent(),
      "between_slices": sum(cost.sent(between=True).values()),
      "fsdp_minimum": minimum,
      "over_minimum": sent / minimum if minimum else 0.0,
    },
    "traffic": cost.traffic,
    "products": products(cost, chip.unit if chip else 1),
    "compile_seconds": facts.compile_seconds,
  }
  return numbers | (roofline(cost, facts, chip) if chip else {})


def roofline(
  cost: hlo_cost.Cost, facts: Facts, chip: chips.Chip
) -> dict[str, Any]:
  """Least times of a step, and what follows from the longest.

  `..._one_axis`: with the links of one axis; else with all of them.
  """
  seconds = {
    "compute": cost.filled(chip.unit) / chip.peak,
    "hbm": cost.traffic / chip.bandwidth,
    "ici": sum(cost.sent(between=False).values()) / chip.ici,
    "dcn": sum(cost.sent(between=True).values()) / chip.dcn,
  }
  one_axis = seconds | {"ici": seconds["ici"] * chip.axes}
  ideal = facts.model_flops * facts.batch / facts.devices / chip.peak
  # The compiler may leave out what the model counts: no more than all is done.
  least = max(*seconds.values(), ideal)
  slower = max(*one_axis.values(), ideal)
  peak = facts.memory["peak"]
  return {
    "seconds": seconds,
    "ici_one_axis": one_axis["ici"],
    "limited_by": max(seconds, key=seconds.get),
    "limited_by_one_axis": max(one_axis, key=one_axis.get),
    "mfu_bound": ideal / least,
    "mfu_bound_one_axis": ideal / slower,
    "images_per_second": facts.batch / least,
    "images_per_second_one_axis": facts.batch / slower,
    "images_per_second_and_host": facts.batch / least / facts.hosts,
    "memory_leaves_out": list(LEFT_OUT),
    "memory": facts.memory
    | {"limit": int(chip.hbm), "margin": int(chip.hbm - peak)},
  }


def products(cost: hlo_cost.Cost, unit: int) -> list[dict[str, Any]]:
  """The largest products, those of one place together, and their padding."""
  places: dict[tuple, float] = {}
  for p in cost.products:
    key = (p.name, p.m, p.n, round(p.k), p.padded(unit))
    places[key] = places.get(key, 0) + p.flops * p.times
  largest = sorted(places.items(), key=lambda kv: -kv[1])[:SHOWN]
  return [
    {
      "name": name,
      "m": m,
      "n": n,
      "k": k,
      "share": flops / cost.flops,
      "padded": padded,
      "advice": advice(m, n, k, unit) if padded >= _WASTE else "",
    }
    for (name, m, n, k, padded), flops in largest
  ]


def advice(m: int, n: int, k: int, unit: int) -> str:
  """What to do about the side that wastes most; "" if less than a tenth."""
  waste = lambda x, to: math.ceil(x / to) * to / x
  sides = {"m": (m, 8), "n": (n, unit), "k": (k, unit)}
  name = max(sides, key=lambda s: waste(*sides[s]))
  size, to = sides[name]
  if waste(size, to) < _WASTE:
    return ""
  return f"{name}={size} fills {size / (math.ceil(size / to) * to):.0%} of {to}"


def tables(numbers: dict[str, Any]) -> list[list[tuple[str, ...]]]:
  """The report for people; the first row of each table is its header."""
  flop, byte = (lambda x, u=u: consoles.size(x, u) for u in ("FLOP", "B"))
  memory, flops, net = numbers["memory"], numbers["flops"], numbers["network"]
  rows = [("memory", "of a chip")]
  rows += [(name, byte(size)) for name, size in memory.items()]
  rows += [("left out", text) for text in numbers.get("memory_leaves_out", ())]
  parts = [rows]
  rows = [
    ("work", "of a chip and step"),
    ("model FLOPs per image", flop(flops["model_per_image"])),
    ("model", flop(flops["model"])),
    ("compiled", flop(flops["compiled"])),
    ("compiled / model", f"{flops['compiled_over_model']:.3f}"),
    ("main memory traffic", byte(numbers["traffic"])),
  ]
  parts.append(rows)
  rows = [("network", "sent by a chip in a step")]
  rows += [(kind, byte(size)) for kind, size in net["bytes"].items()]
  rows += [
    ("of it between slices", byte(net["between_slices"])),
    ("FSDP minimum", byte(net["fsdp_minimum"])),
    ("sent / minimum", f"{net['over_minimum']:.2f}"),
  ]
  parts.append(rows)
  if "seconds" in numbers:
    parts.append(_times(numbers))
  rows = [("largest products", "m x n x k", "share", "padded", "advice")]
  rows += [
    (
      p["name"][-60:],
      f"{p['m']} x {p['n']} x {p['k']}",
      f"{p['share']:.1%}",
      f"{p['padded']:.2f}",
      p["advice"],
    )
    for p in numbers["products"]
  ]
  return [*parts, rows]


def _times(numbers: dict[str, Any]) -> list[tuple[str, str]]:
  """Rows of the roofline."""
  rows = [("roofline", "least time of a step")]
  rows += [(k, f"{s * 1e3:.2f} ms") for k, s in numbers["seconds"].items()]
  both = lambda key: (numbers[f"{key}_one_axis"], numbers[key])
  span = lambda low, high: low if low == high else f"{low} to {high}"
  shown = lambda key, form: span(*(format(x, form) for x in both(key)))
  return rows + [
    ("ici, links of one axis", f"{numbers['ici_one_axis'] * 1e3:.2f} ms"),
    ("limited by", span(*both("limited_by"))),
    ("MFU at most", shown("mfu_bound", ".1%")),
    ("images/s at most", shown("images_per_second", ",.0f")),
    (
      "images/s from each host",
      f"{numbers['images_per_second_and_host']:,.0f}",
    ),
  ]
