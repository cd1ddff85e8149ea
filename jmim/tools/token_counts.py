"""Turns a search of DiffRate into lists: tokens kept in each block.

    python -m jmim.tools.token_counts --workdir=runs/W

The workdir is a run of `supervised.diffrate`. Printed are the tokens kept after
pruning and after merging, what the network costs with them, and the overrides
with which its logits are those of a network whose tokens are taken away:

    python -m jmim.main --mode=eval --workdir=runs/W --allow_changes \
      --config.method.lists.prune=(65,51,...) --config.method.lists.merge=...
"""

import argparse
import pathlib
import sys
from collections.abc import Sequence

from jmim.checkpoints import store
from jmim.checkpoints import weights
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree as trees
from jmim.methods.parts import token_counts
from jmim.methods.supervised import diffrate
from jmim.runlog import console as consoles
from jmim.tools import cli


def read(
  workdir: str | pathlib.Path,
) -> tuple[diffrate.DiffRate, dict[str, tuple[int, ...]]]:
  """The method of a search, and what it found: prune and merge.

  Args:
    workdir: of a run with a checkpoint.

  Raises:
    UserError: no run of `supervised.diffrate`, or none with a checkpoint.
  """
  folder = pathlib.Path(workdir)
  try:
    section = store.read_config(folder)["method"]
    saved = weights.read_section(folder, "params")
  except FileNotFoundError as e:
    raise errors.UserError(
      f"{folder}: {e}",
      "the workdir of a search with a checkpoint",
      "run supervised.diffrate first",
      "--workdir",
    ) from e
  method = discovery.make(section)
  if not isinstance(method, diffrate.DiffRate):
    raise errors.UserError(
      f"{folder} is a run of {section['type']}",
      "a run of supervised.diffrate",
      "name the workdir of a search",
      "--workdir",
    )
  counts = method.learned(trees.nested(saved))
  kept = {kind: getattr(counts, kind) for kind in token_counts.KINDS}
  return method, {k: tuple(int(n) for n in x) for k, x in kept.items()}


def lists(workdir: str | pathlib.Path) -> dict[str, tuple[int, ...]]:
  """prune and merge of a search, for `config.method.lists`; see `read`."""
  return read(workdir)[1]


def show(workdir: str) -> None:
  """Prints the lists of a search, their cost, and the overrides."""
  method, kept = read(workdir)
  numbers = zip(*kept.values(), strict=True)
  rows = [(str(i), *map(str, both)) for i, both in enumerate(numbers)]
  consoles.Console().table("Tokens kept", ("block", *kept), rows)
  patches, blocks = method.extent
  whole = float(method.flops(((1 + patches,) * blocks,) * 2))
  cost = float(method.flops(tuple(kept.values())))
  print(f"{cost:.4g} FLOPs, {cost / whole:.1%} of {whole:.4g}")
  for kind, own in kept.items():
    text = ",".join(map(str, own))
    print(f"--config.method.lists.{kind}=({text},)")


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  parser.add_argument("--workdir", required=True, help="of the search")
  args = parser.parse_args(argv)
  return cli.run(lambda: show(args.workdir))


if __name__ == "__main__":
  sys.exit(main())
