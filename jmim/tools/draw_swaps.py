r"""Draws images that take over more and more of each other's codes.

    python -m jmim.tools.draw_swaps --workdir=W --out=swaps.png --num=6
    python -m jmim.tools.draw_swaps --workdir=W --out=moved.png \
      --attribute=shape=2

One row for each of the first evaluation images: itself, and then its own noise
with the first blocks of the code of its neighbour in the row below or above.
The run's method must offer the output `swapped`.

With --attribute its code is moved along the linear probe of an attribute
instead, as far as STRENGTHS say; 0 is its reconstruction. The probe is that of
the evaluator `attributes` (--evaluator: another name of it), which the run
keeps; see `parts/time_blocks.py` for --keep.
"""

import argparse
import itertools
import sys
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from jmim.checkpoints import heads
from jmim.checkpoints import models
from jmim.checkpoints import weights as weight_files
from jmim.core import errors
from jmim.core import home
from jmim.core import objects
from jmim.data import augment
from jmim.data import pipeline
from jmim.evals.lib import draw
from jmim.evals.lib import predict
from jmim.session import build
from jmim.session import opened
from jmim.tools import cli
from jmim.tools import sheets

OUTPUT = "swapped"
STRENGTHS = (-0.6, -0.3, 0.0, 0.3, 0.6)  # of the deviation of a code, in all


def images(model: models.Model, num: int) -> np.ndarray:
  """uint8 [num, side, side, c] of the split that the run evaluates on.

  Raises:
    UserError: there are not as many.
  """
  config, data = model.config, model.config.data
  objects.check_data(config, "the config")
  sources = opened.make_sources(config)
  if num > len(sources["eval"]):
    raise errors.UserError(
      f"--num={num}",
      f"at most {len(sources['eval'])} images of {data.name}",
      "lower it",
      "--num",
    )
  spec = build.make_spec(config)
  batches = pipeline.evaluation_batches(sources["eval"], spec)
  rows = itertools.islice((x for b in batches for x in b["image"]), num)
  return np.stack(list(rows))


def columns(model: models.Model, stored: np.ndarray) -> dict[str, np.ndarray]:
  """Title -> uint8 [b, h, w, c], an image first, then with more of another.

  Args:
    model: of a run.
    stored: uint8 [b, h, w, c].

  Raises:
    UserError: its method has no such output, or what it gives is not finite.
  """
  sheets.check_offers(model, OUTPUT, "diffusion.diti")
  spec = build.make_spec(model.config)
  fn = jax.jit(predict.output(model.method, f"{OUTPUT}/image"))
  batch = {"image": augment.normalise(spec, stored)}
  made = np.asarray(fn(model.weights, batch, jax.random.key(0)))
  predict.require_finite(np.isfinite(made).all((1, 2, 3, 4)), "images")
  cuts = made.shape[1] - 1
  shown = {"image": stored}
  for j in range(cuts + 1):
    pixels = augment.denormalise(spec, made[:, j])
    shown[f"{100 * j // cuts} %"] = np.asarray(pixels)
  return shown


def moved(
  model: models.Model,
  stored: np.ndarray,
  head: heads.Head,
  *,
  name: str,
  keep: int = 0,
) -> dict[str, np.ndarray]:
  """Title -> uint8 [b, h, w, c], an image first, then moved along a probe.

  Args:
    model: of a run.
    stored: uint8 [b, h, w, c].
    head: of its codes.
    name: of a column of it.
    keep: numbers of the code that move; 0: all.

  Raises:
    UserError: its method has no codes to walk by, or what it gives is not
      finite.
  """
  if not hasattr(model.method, "walks"):
    raise errors.UserError(
      f"{model.config.method.type}, which has no walks",
      "a method whose images are made again from their codes (diffusion.diti)",
      "name another workdir",
      "--workdir",
    )
  spec, std = build.make_spec(model.config), jnp.asarray(head.std)
  direction = std * head.kernel[:, head.names.index(name)]  # standardised codes

  @jax.jit
  def fn(weights, images, strength):
    options = dict(strength=strength, keep=keep)
    walks = model.method.walks(weights)
    return walks.manipulated(images, direction, std, **options)

  shown = {"image": stored}
  for strength in STRENGTHS:
    made = fn(model.weights, augment.normalise(spec, stored), strength)
    predict.require_finite(np.isfinite(made).all((1, 2, 3)), "images")
    pixels = augment.denormalise(spec, made)
    shown[f"{strength:+g}"] = np.asarray(pixels)
  return shown


def probe(args: argparse.Namespace) -> heads.Head:
  """The one named, of the newest checkpoint of the run.

  Raises:
    UserError: there is none, or none of that attribute.
  """
  workdir = home.expand(args.workdir, "--workdir")
  with weight_files.reading(workdir) as store:
    step = weight_files.newest(store)
  named = dict(weights=args.weights, key="--evaluator")
  head = heads.read(workdir, args.evaluator, step, **named)
  if args.attribute not in head.names or not len(head.std):
    raise errors.UserError(
      f"--attribute={args.attribute}",
      f"one of {', '.join(head.names) or 'none: not a probe of attributes'}",
      "name one of them",
      "--attribute",
    )
  if not 0 <= args.keep <= len(head.std):
    raise errors.UserError(
      f"--keep={args.keep}", f"0 .. {len(head.std)}", "change it", "--keep"
    )
  return head


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  made = sheets.parser(__doc__, 6, weights=True)
  made.add_argument("--attribute", default="")
  made.add_argument("--evaluator", default="attributes")
  made.add_argument("--keep", default=0, type=int)
  return made.parse_args(argv)


def run(args: argparse.Namespace) -> None:
  """Writes the picture.

  Raises:
    UserError: fewer than two images, or as `images`, `columns`, `moved`,
      `probe` and `of_run`.
  """
  sheets.check(args, least=2)
  model = models.of_run(args.workdir, args.weights, "--workdir")
  if args.attribute:
    head, rows = probe(args), images(model, args.num)
    made = moved(model, rows, head, name=args.attribute, keep=args.keep)
  else:
    made = columns(model, images(model, args.num))
  picture = draw.sheet(made, pairs=1)
  sheets.write(args, picture)


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: run(args))


if __name__ == "__main__":
  sys.exit(main())
