"""What took the time of a step, as tables: `bench_step --profile`.

Behind each rate stands its share of the best that this device was seen to do.
"""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

from jmim.runlog import console as consoles

SHOWN = 12  # shapes of products


def show(
  told: Mapping[str, Any],
  ours: Mapping[str, Any],
  peak: float,
  console: consoles.Console,
) -> None:
  """Prints the profile of one side.

  Args:
    told: what `bench_ours.Ours.profile` returns, or `bench_peer.Step.profile`,
      which knows no bytes (0) and no page faults.
    ours: what the former returned: it has measured the device.
    peak: FLOP/s of the device.
    console: to print to.
  """
  console.print(
    f"{'ours' if told is ours else 'the peer'}: a step of "
    f"{1e3 * told['seconds']:.1f} ms; this device: products "
    f"{peak / 1e9:.0f} GFLOP/s, memory {ours['bandwidth'] / 1e9:.1f} GB/s"
  )
  head = ("ms", "share", "GFLOP/s", "GB/s", "runs")
  best = (peak, ours["bandwidth"])
  of_kinds = [_row(row, told["seconds"], *best) for row in told["kinds"]]
  of_shapes = [_row(row, told["seconds"], *best) for row in told["shapes"]]
  kinds = [*of_kinds, _outside(told)]
  console.table("kinds of work", ("kind", *head), kinds)
  console.table("products by shape", ("shape", *head), of_shapes[:SHOWN])
  if "faults" in told:
    console.print(f"{told['faults']:,.0f} page faults a step")


def _row(
  row: Mapping[str, Any], whole: float, peak: float, bandwidth: float
) -> Sequence[str]:
  """The cells of a kind or a shape; empty where nothing is known."""
  seconds = max(row["seconds"], 1e-12)
  rate = lambda n, best: (
    f"{n / seconds / 1e9:.3g} ({n / seconds / best:.0%})" if n else ""
  )
  return (
    row["name"],
    f"{1e3 * seconds:.2f}",
    f"{seconds / whole:.1%}",
    rate(row["flops"], peak),
    rate(row["bytes"], bandwidth),
    f"{row['runs']:g}",
  )


def _outside(told: Mapping[str, Any]) -> Sequence[str]:
  """What no operation took; below 0 where several ran at once."""
  left = told["seconds"] - sum(row["seconds"] for row in told["kinds"])
  return (
    "between operations",
    f"{1e3 * left:.2f}",
    f"{left / told['seconds']:.1%}",
    *[""] * 3,
  )
