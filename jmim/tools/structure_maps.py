r"""Stores images with a map of their regions: one number per region.

    python -m jmim.tools.structure_maps --images=DF2K --masks=MASKS \
      --name=df2k_structure --out=DATA_DIR --tile=480 --stride=240

DF2K has a folder for each split (`train`, `test`) with images. The masks of
`DF2K/train/0001.png` are `MASKS/train/0001/0.png`, `1.png`, ...: one for each
region, 0 or not, in the order of their numbers, as the automatic generator of
Segment Anything leaves them (later ones cover earlier ones); or one picture
`MASKS/train/0001.png` whose values are the region, 0 none (of up to 16 bits, or
places in a palette). An image without either, or every image without --masks,
gets the connected pieces of its --colours=6 colours (k means) with at least
--least=16 pixels.

A map (`jmim.nn.structure`) is made of the whole image and cut with it into
square tiles, as batches hold images of one size. The result is a data set of
TFDS: `image`, and `structure` [tile, tile] float32, which a batch has beside
the image, cropped alike.
"""

import argparse
import functools
import json
import pathlib
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np
import PIL.Image
import tensorflow_datasets as tfds

from jmim.core import errors
from jmim.data import decode
from jmim.data import encode
from jmim.data import formats
from jmim.data import write
from jmim.metrics import regions
from jmim.nn import structure
from jmim.tools import cli

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


def pictures(folder: pathlib.Path) -> list[pathlib.Path]:
  """The images of a folder by name, numbers in their order."""
  found = [p for p in folder.iterdir() if p.suffix.lower() in SUFFIXES]
  number = lambda p: (int(p.stem) if p.stem.isdecimal() else -1, p.name)
  return sorted(found, key=number)


def read(path: pathlib.Path, channels: int) -> np.ndarray:
  """uint8 [h, w, channels].

  Raises:
    UserError: it cannot be decoded.
  """
  try:
    return decode.decode(path.read_bytes(), channels)
  except decode.BadImage as error:
    raise errors.UserError(
      f"{path}: {error}", "an image", "mend it or take it away", "--images"
    ) from error


def mask(path: pathlib.Path, sides: tuple[int, int]) -> np.ndarray:
  """Whole numbers [h, w] as they are stored: places in a palette, not colours.

  Raises:
    UserError: as `read`, or it has several channels or another size than its
      image.
  """
  read(path, 1)  # says what is wrong with a broken file
  with PIL.Image.open(path, formats=formats.KNOWN) as picture:
    found = np.asarray(picture)
  if found.ndim != 2:
    raise errors.UserError(
      f"{path}: a mask of {found.shape[-1]} channels",
      "one channel: numbers of regions, or 0 and another",
      "store masks as grey pictures or with a palette",
      "--masks",
    )
  if found.shape != sides:
    raise errors.UserError(
      f"{path}: a mask of {list(found.shape)}",
      f"the size of its image, {list(sides)} pixels",
      "store masks at the size of the image",
      "--masks",
    )
  return found.astype(np.int64)


def of_image(
  image: np.ndarray, masks: pathlib.Path | None, colours: int, least: int
) -> np.ndarray:
  """E [h, w] float32 of a whole image.

  Args:
    image: uint8 [h, w, 3].
    masks: where they would be, without a suffix: a folder, or a picture; None:
      there are none.
    colours: see `regions.components`.
    least: pixels, see there.

  Raises:
    UserError: as `mask`.
  """
  sides = image.shape[:2]
  if masks and masks.is_dir():
    each = (mask(p, sides) for p in pictures(masks))
    return structure.of_masks(each, sides)
  if masks and (whole := masks.with_name(f"{masks.name}.png")).is_file():
    return structure.of_labels(mask(whole, sides))
  return structure.of_labels(regions.components(image, colours, least))


def corners(side: int, tile: int, stride: int) -> list[int]:
  """Where tiles begin along a side; the last one ends with it."""
  last = side - tile
  return sorted({*range(0, last + 1, stride), last})


def tiles(
  path: pathlib.Path, masks: pathlib.Path | None, args: argparse.Namespace
) -> Iterator[dict[str, Any]]:
  """The examples of an image.

  Raises:
    UserError: as `read` and `mask`, or it is smaller than a tile.
  """
  image, n = read(path, 3), args.tile
  if min(image.shape[:2]) < n:
    raise errors.UserError(
      f"{path}: {list(image.shape[:2])} pixels for --tile={n}",
      "images that hold a tile",
      "lower it",
      "--tile",
    )
  found = of_image(image, masks, args.colours, args.least)
  rows, columns = (corners(s, n, args.stride or n) for s in image.shape[:2])
  for y in rows:
    for x in columns:
      at = (slice(y, y + n), slice(x, x + n))
      yield {"image": encode.png(image[at]), "structure": found[at]}


def build(args: argparse.Namespace) -> pathlib.Path:
  """Writes the data set; returns its folder.

  Raises:
    UserError: no splits or an empty one, as `tiles`, or it is there already.
  """
  splits = {p.name: p for p in sorted(args.images.glob("*/")) if pictures(p)}
  if not splits:
    raise errors.UserError(
      f"{args.images} without a folder of images",
      "a folder for each split (train, test)",
      "put the images into a folder train",
      "--images",
    )

  def examples(name: str) -> Iterator[dict[str, Any]]:
    for path in pictures(splits[name]):
      masks = args.masks and args.masks / name / path.stem
      yield from tiles(path, masks, args)

  about = {k: str(x) for k, x in vars(args).items()}
  sides = (args.tile, args.tile)
  packed = tfds.features.Tensor(
    shape=sides, dtype=np.float32, encoding=tfds.features.Encoding.ZLIB
  )
  image = tfds.features.Image(shape=(*sides, 3), encoding_format="png")
  return write.dataset(
    args.name,
    args.out,
    features={"image": image, "structure": packed},
    description=json.dumps(about, indent=2),
    splits=lambda: {name: examples(name) for name in splits},
  )


def parse(argv: Sequence[str]) -> argparse.Namespace:
  """Arguments."""
  parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
  for name in ("images", "out"):
    parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
  parser.add_argument("--masks", type=pathlib.Path, help="none: of colours")
  parser.add_argument("--name", required=True)
  whole = functools.partial(parser.add_argument, type=int)
  whole("--tile", default=480, help="side [pixels]")
  whole("--stride", default=0, help="between tiles [pixels]; 0: a side")
  whole("--colours", default=6, help="of images without masks")
  whole("--least", default=16, help="pixels of a piece of one colour")
  args = parser.parse_args(argv)
  cli.check_least(parser, args, "tile", "colours", "least")
  if args.stride < 0:
    parser.error("--stride: 0 or more")
  cli.check_folders(parser, args, "images", "masks")
  return args


def main(argv: Sequence[str] | None = None) -> int:
  """Command line; returns the exit code."""
  args = parse(sys.argv[1:] if argv is None else argv)
  return cli.run(lambda: print(build(args)))


if __name__ == "__main__":
  sys.exit(main())
