r"""Spoils each face by a setting of its own, as CelebA-Test of DifFace.

    python -m jmim.tools.spoil_faces --images=CELEBAHQ --name=celeba_test \
      --out=DATA_DIR

Of the product of 5 x 10 x 5 x 4 x 4 settings, the last varying fastest,

    quality of JPEG             30, 40, 50, 60, 70
    reduction                   4, 8, ..., 40
    deviation of the noise      1, 5, 10, 15, 20 of 255
    blur along one axis         4, 8, 12, 16 pixels
    angle of that axis          0, 45, 90, 135 degrees

image i by name gets setting i, where there are 4000 or more (the rest is left
out), and of fewer images the settings are spread evenly. The blur of the other
axis is one of the same four, at random. So does the authors' script
(zsyOAOA/DifFace@c0fad1d); what is done with a setting is `face` of
`jmim.nn.degrade.presets`. CELEBAHQ holds square images of one size, theirs 512
pixels.

The result is a data set of TFDS with the pictures `low` and `high` of that
size, and a split per reduction, `sf4` to `sf40`; `all` is their union, and
`sf4+sf8` that of two.
"""

import argparse
import itertools
import json
import pathlib
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import tensorflow_datasets as tfds

from jmim.core import errors
from jmim.core import randomness
from jmim.data import encode
from jmim.data import write
from jmim.nn.degrade import presets
from jmim.tools import cli
from jmim.tools import structure_maps

FACE = presets.Face(reduction=(1.0, 40.0))
BLURS = (4, 8, 12, 16)


class Setting(NamedTuple):
  """What is done to a face.

  Attributes:
    quality: of JPEG.
    reduction: by which sides shrink before they grow back.
    noise: its deviation, of 255.
    blur: deviation along one axis [pixels].
    angle: of that axis [radians].
  """

  quality: int
  reduction: int
  noise: int
  blur: int
  angle: float


def settings(n: int) -> list[Setting]:
  """Those of n images, at most as many as there are."""
  values = (
    (30, 40, 50, 60, 70),
    range(4, 41, 4),
    (1, 5, 10, 15, 20),
    BLURS,
    [turn * np.pi for turn in (0, 0.25, 0.5, 0.75)],
  )
  known = [Setting(*of) for of in itertools.product(*values)]
  count = min(n, len(known))
  return [known[i * len(known) // count] for i in range(count)]


@jax.jit
def _spoilt(image, key, setting, other):
  """An image [1, h, w, 3] in 0 .. 1, its blur `other` along the second axis."""
  each = lambda x: jnp.asarray(x, jnp.float32)[None]
  drawn = FACE.draw(randomness.Keys(key), image.shape)
  fixed = dict(
    blur=jnp.stack([each(setting.blur), each(other)], axis=1),
    round=jnp.zeros_like(drawn["round"]),
    angle=each(setting.angle),
    reduction=each(setting.reduction),
    sigma=each(setting.noise) / 255,
    quality=each(setting.quality),
    grey=jnp.zeros_like(drawn["grey"]),
  )
  return FACE(image, drawn | fixed, 1)


def spoilt(
  image: np.ndarray, setting: Setting, seed: int, i: int
) -> np.ndarray:
  """uint8 [h, w, 3] of an image like it.

  Args:
    image: uint8 [h, w, 3].
    setting: what is done.
    seed: of noise and of the other axis' blur.
    i: number of the image.
  """
  other = np.random.default_rng([seed, i]).choice(BLURS)
  key = jax.random.fold_in(jax.random.key(seed), i)
  made = _spoilt(image[None] / np.float32(255), key, setting, other)
  return np.round(255 * np.asarray(made[0])).astype(np.uint8)


def build(args: argparse.Namespace) -> pathlib.Path:
  """Writes the data set; returns its folder.

  Raises:
    UserError: no images, one that is not square or of another size, or it is
      there already.
  """
  files = structure_maps.pictures(args.images)
  if not files:
    raise errors.UserError(
      f"{args.images} without images",
      "images of faces",
      "name their folder",
      "--images",
    )
  side = len(structure_maps.read(files[0], 3))
  chosen = list(enumerate(zip(files, settings(len(files)), strict=False)))

  def examples(reduction: int) -> Iterator[dict[str, Any]]:
    for i, (path, setting) in chosen:
      if setting.reduction == reduction:
        high = structure_maps.read(path, 3)
        _check(path, high, side)
        low = spoilt(high, setting, args.seed, i)
        yield {"low": encode.png(low), "high": encode.png(high)}

  picture = tfds.features.Image(shape=(side, side, 3), encoding_format="png")
  about = {k: str(x) for k, x in vars(args).items()}
  reductions = sorted({setting.reduction for _, (_, setting) in chosen})
  return write.dataset(
    args.name,
    args.out,
    features={"low": picture, "high": picture},
    description=json.dumps(about, indent=2),
    splits=lambda: {f"sf{n}": examples(n) for n in reductions},
  )


def _check(path, image, side):
  """Raises UserError unless it is a square of that side."""
  if image.shape != (side, side, 3):
    raise errors.UserError(
      f"{path}: {list(image.shape[:2])} pixels",
      f"[{side}, {side}], a square as large as the others",
      "crop them alike",
      "--images",
    )


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  for name in ("images", "out"):
    parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
  parser.add_argument("--name", default="celeba_test")
  parser.add_argument("--seed", type=int, default=10_000)
  args = parser.parse_args(argv)
  cli.check_folders(parser, args, "images")
  return args


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: print(build(args)))


if __name__ == "__main__":
  sys.exit(main())
