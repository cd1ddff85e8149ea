"""What the tools share that draw a sheet of pictures from a run."""

import argparse
import collections
import pathlib

import numpy as np
import PIL.Image

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import files
from jmim.session import samples


def parser(
  doc: str, num: int, *, weights: bool = False
) -> argparse.ArgumentParser:
  """Arguments --workdir, --out and --num, perhaps --weights.

  Args:
    doc: of the tool, whose first line is its description.
    num: rows unless said otherwise.
    weights: whether one may choose between raw and averaged ones.
  """
  made = argparse.ArgumentParser(description=doc.split("\n")[0])
  made.add_argument("--workdir", required=True)
  made.add_argument("--out", required=True, type=pathlib.Path)
  made.add_argument("--num", default=num, type=int)
  if weights:
    made.add_argument("--weights", default="ema", choices=("raw", "ema"))
  return made


def check(args: argparse.Namespace, least: int = 1) -> None:
  """Before anything is read.

  Raises:
    UserError: fewer than `least` rows, or a folder that cannot be written.
  """
  if args.num < least:
    raise errors.UserError(
      f"--num={args.num}", f"at least {least}", "raise it", "--num"
    )
  files.check_writable(args.out.parent, "--out")


def check_offers(
  model: models.Model, output: str, example: str, key: str = "--workdir"
) -> None:
  """Before an output of a run is drawn.

  Args:
    model: of the run.
    output: its name.
    example: what offers it, for the message.
    key: where the run was named.

  Raises:
    UserError: the run's method has no such output.
  """
  offered = model.method.predict()
  if output not in offered:
    raise errors.UserError(
      f"{model.config.method.type} offers {', '.join(sorted(offered))}",
      f"a method with the output {output}",
      f"name a run of {example}",
      key,
    )


def results(workdir: pathlib.Path, split: str = "*") -> dict[str, np.ndarray]:
  """Entries of the latest results of a procedure: name -> [n, ...].

  Args:
    workdir: of --mode=apply.
    split: whose; "*": all of them.

  Returns:
    what every part of them holds; nothing if there are none.
  """
  folders = [p.parent for p in workdir.glob("applied/*/protocol.json")]
  latest = max(folders, key=lambda p: p.stat().st_mtime, default=None)
  found = sorted(latest.glob(split)) if latest else []
  parts = [x for p in found if p.is_dir() for x in samples.paths(p)]
  held = collections.defaultdict(list)
  for path in parts:
    with np.load(path) as stored:
      for name in stored.files:
        held[name].append(stored[name])
  whole = {n: x for n, x in held.items() if len(x) == len(parts)}
  return {name: np.concatenate(x) for name, x in whole.items()}


def write(args: argparse.Namespace, picture: np.ndarray) -> None:
  """Stores uint8 [h, w, 3] and says so."""
  PIL.Image.fromarray(picture).save(args.out, optimize=True)
  print(f"done: {args.out}")


def write_few(
  path: pathlib.Path, picture: np.ndarray, colours: int = 64
) -> None:
  """Stores uint8 [h, w, 3] in few colours, which makes a small file."""
  few = PIL.Image.fromarray(picture).quantize(colours)
  few.save(path, optimize=True)
