"""The parts of a folder of samples: each image is in one of them, once.

    part_00000.npz    uint8 "image" or "video" (clips [n, t, h, w, c]), int32
                      "tokens" or float32 "points", and "label", "index"
    part_00000.png    a picture of them; .txt: the samples as text

Which images a part holds is what its "index" says, not its name.
"""

import functools
import math
import pathlib
from collections.abc import Callable

import einops
import numpy as np
import PIL.Image

from jmim.core import files
from jmim.core import npy
from jmim.data import again
from jmim.evals.lib import clouds


def paths(folder: pathlib.Path) -> list[pathlib.Path]:
  """The parts there are, whole or not, in the order of their names."""
  found = folder.glob("part_*.npz")
  return sorted(p for p in found if ".tmp" not in p.suffixes)


def index(path: pathlib.Path) -> np.ndarray | None:
  """int64 [n], the numbers of the images of a part; None: it is not whole.

  Raises:
    OSError: the disk fails, which says nothing of the part.
  """
  try:
    numbers, sizes = again.attempt(functools.partial(_read, path))
  except npy.DAMAGED:
    return None
  whole = numbers.ndim == 1 and sizes == {numbers.shape}
  return numbers.astype(np.int64) if whole else None


def _read(path: pathlib.Path) -> tuple[np.ndarray, set[tuple[int, ...]]]:
  """(the numbers, all lengths of arrays)."""
  with np.load(path) as stored:
    return stored["index"], {x.shape[:1] for x in stored.values()}


def tidy(folder: pathlib.Path) -> list[str]:
  """Removes parts that are cut, and those with images that another has.

  Returns:
    A line for each that was removed; what it held alone can be made again.

  Raises:
    OSError: one cannot be read, or removed.
  """
  lines, seen = [], np.zeros(0, np.int64)
  for path in folder.glob("part_*.tmp*"):
    path.unlink()
  for path in paths(folder):
    found = index(path)
    if found is not None and not np.isin(found, seen).any():
      if len(set(found.tolist())) == len(found):
        seen = np.concatenate([seen, found])
        continue
    why = "is damaged" if found is None else "has images that others have"
    lines.append(f"{path.name} {why}: removed")
    for suffix in (".npz", ".png", ".txt"):
      path.with_suffix(suffix).unlink(missing_ok=True)
  return lines


def held(folder: pathlib.Path) -> np.ndarray:
  """int64 [n], the numbers of all images of a folder that is tidy."""
  found = [index(path) for path in paths(folder)]
  return np.concatenate([np.zeros(0, np.int64), *found])


def kind(made: np.ndarray) -> str:
  """What samples are stored as: "image", "video", "tokens" or "points"."""
  pixels = "video" if made.ndim == 5 else "image"
  return {"u": pixels, "i": "tokens", "f": "points"}[made.dtype.kind]


def numbers(tokens: np.ndarray) -> str:
  """Tokens that nobody can read."""
  return " ".join(map(str, tokens))


def write(
  folder: pathlib.Path,
  rows: dict[str, np.ndarray],
  text: Callable[[np.ndarray], str] = numbers,
  sheet: np.ndarray | None = None,
) -> pathlib.Path:
  """Another part and its picture; the part appears only when it is whole.

  Args:
    folder: of the parts.
    rows: "image" [n, h, w, c], "video" [n, t, h, w, c], "tokens" [n, l] or
      "points" [n, p, 3], and what goes with them.
    text: makes a line of the tokens of a sample.
    sheet: uint8 [n, h, w, c], the picture of each; None: "image", "video", or
      three views of "points", if any.

  Returns:
    The path of the part.
  """
  taken = {p.name for p in paths(folder)}
  names = (f"part_{i:05d}.npz" for i in range(len(taken) + 1))
  path = folder / next(name for name in names if name not in taken)
  with files.writing(path) as file:
    np.savez(file, **rows)
  if "tokens" in rows and sheet is None:
    lines = [repr(text(row))[1:-1] for row in rows["tokens"]]
    files.replace(path.with_suffix(".txt"), "\n".join(lines) + "\n")
    return path
  if sheet is None and "points" in rows:
    sheet = clouds.views(rows["points"])
  sheet = rows.get("image", rows.get("video")) if sheet is None else sheet
  if sheet is not None and sheet.dtype == np.uint8:
    with files.writing(path.with_suffix(".png")) as file:
      PIL.Image.fromarray(grid(sheet)).save(file, "png")
  return path


def grid(images: np.ndarray, space: int = 2, side: int = 0) -> np.ndarray:
  """uint8 [n, h, w, c] as one picture [H, W, 3], as square as can be.

  Args:
    images: c is 1 or 3; of clips [n, t, h, w, c] each is a row.
    space: white pixels between them.
    side: enlarge images to about so many pixels; 0: 48.
  """
  columns = images.shape[1] if images.ndim == 5 else 0
  images = images.reshape(-1, *images.shape[-3:])
  factor = max(1, round((side or 48) / images.shape[1]))
  images = images.repeat(factor, 1).repeat(factor, 2)
  images = np.broadcast_to(images, (*images.shape[:3], 3))
  columns = columns or math.ceil(len(images) ** 0.5)
  rows = -(-len(images) // columns)
  pad = ((0, rows * columns - len(images)), (0, space), (0, space), (0, 0))
  images = np.pad(images, pad, constant_values=255)
  return einops.rearrange(images, "(r c) h w k -> (r h) (c w) k", r=rows)
