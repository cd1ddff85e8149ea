"""Draws which blocks of attention AdaSpa keeps of a run of Step-Video.

    python -m jmim.tools.draw_blocks --workdir=W --out=blocks.png \
      method.sparse.block=16

Six heads of the run (--num), from the first layer to the last; of each the
blocks at the first and at the last search, on the way of the first evaluation
example through dense attention. What is kept is in colours, the brighter the
more attention it has, what is dropped in greys; rows are queries. Further
arguments change the config, KEY=VALUE.
"""

import argparse
import io
import sys
from collections.abc import Sequence

import jax
import matplotlib.figure
import numpy as np
import PIL.Image

from jmim.checkpoints import models
from jmim.core import errors
from jmim.core import method as methods
from jmim.nn import block_masks
from jmim.tools import cli
from jmim.tools import draw_outputs
from jmim.tools import sheets

TYPE = "video.adaspa"


def found(
  model: models.Model, batch: methods.Batch, changes: Sequence[str]
) -> dict[str, np.ndarray]:
  """sums, mask [searches, layers, heads, n, n]; recall, without n.

  Args:
    model: of a run of Step-Video.
    batch: of one example.
    changes: "KEY=VALUE" of its config.

  Raises:
    UserError: another run, an unknown key, or what does not go together.
  """
  if model.config.method.type not in (TYPE, "video.step_video"):
    raise errors.UserError(
      f"a run of {model.config.method.type}",
      "one of video.step_video, whose attention has blocks",
      "name another folder",
      "--workdir",
    )
  method = model.changed([f"method.type={TYPE}", *changes]).method
  rule, tokens = method.sparse, method.tokens

  @jax.jit
  def look(weights, batch, key):
    sums = method.block_sums(weights, batch, key)[0]
    flat = sums.reshape(-1, *sums.shape[2:])
    noise = method.random(batch, key)[:, 0]
    noise = jax.numpy.concatenate([noise] * len(sums))
    mask = rule.mask(*rule.choose(flat, tokens, noise), tokens)
    recall = block_masks.recall(flat, mask).reshape(sums.shape[:3])
    return {"sums": sums, "mask": mask.reshape(sums.shape), "recall": recall}

  return jax.tree.map(np.asarray, look(model.weights, batch, jax.random.key(0)))


def picture(made: dict[str, np.ndarray], num: int) -> np.ndarray:
  """uint8 [h, w, 3]: a column of each of num heads, a row of each search.

  Args:
    made: of `found`.
    num: heads.
  """
  searches, layers, heads = made["recall"].shape
  places = np.linspace(0, layers * heads - 1, num).round().astype(int)
  figure = matplotlib.figure.Figure(
    (1.6 * num, 1.9 * searches), layout="constrained"
  )
  grid = figure.subplots(searches, num, squeeze=False)
  for row, axes in enumerate(grid):
    for place, ax in zip(places, axes, strict=True):
      at = (row, *divmod(int(place), heads))
      ax.imshow(painted(made["sums"][at], made["mask"][at]))
      ax.set_title(
        f"layer {at[1]}, head {at[2]}\n{made['recall'][at]:.2f}", fontsize=7
      )
      ax.set_axis_off()
  buffer = io.BytesIO()
  figure.savefig(buffer, format="png", dpi=100)
  return np.asarray(PIL.Image.open(buffer).convert("RGB"))


def painted(sums: np.ndarray, mask: np.ndarray) -> np.ndarray:
  """[n, n] -> [n, n, 3] in 0 .. 1: kept blocks in colours, others in greys."""
  share = np.sqrt(sums / sums.max())
  colours = matplotlib.colormaps["viridis"](0.25 + 0.75 * share)[..., :3]
  return np.where(mask[..., None], colours, 1 - 0.7 * share[..., None])


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = sheets.parser(__doc__, 6, weights=True)
  parser.add_argument("changes", nargs="*", metavar="KEY=VALUE")
  return parser.parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: as `found` and `draw_outputs.batch_of`.
  """
  sheets.check(args)
  model = models.of_run(args.workdir, args.weights, "--workdir")
  batch = draw_outputs.batch_of(model, 1)
  sheets.write(args, picture(found(model, batch, args.changes), args.num))


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
