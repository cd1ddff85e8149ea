"""Pictures of maps, and sheets of images."""

import matplotlib
import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont


def palette(n: int) -> np.ndarray:
  """uint8 [n, 3] colours that differ, the first (background) dark."""
  colours = matplotlib.colormaps["tab20"](np.arange(n - 1) % 20)[:, :3]
  return np.concatenate([[[30, 30, 30]], 255 * colours]).astype(np.uint8)


def classes(x: np.ndarray) -> np.ndarray:
  """Class ids [n, h, w] below 256 -> uint8 [n, h, w, 3]."""
  return palette(256)[x.astype(np.uint8)]


def heat(x: np.ndarray, low: float, high: float) -> np.ndarray:
  """Values [...] from `low` to `high` -> uint8 [..., 3], dark to bright."""
  share = (x - low) / max(high - low, 1e-12)
  colours = matplotlib.colormaps["viridis"](np.clip(share, 0, 1))
  return (255 * colours[..., :3]).round().astype(np.uint8)


def directions(flow: np.ndarray, longest: float) -> np.ndarray:
  """Flows (x, y) [..., 2] -> uint8 [..., 3].

  The direction is the hue (red: to the right), the length how far a colour is
  from white.

  Args:
    flow: in any unit.
    longest: of full colour, and more.
  """
  hue = (np.arctan2(flow[..., 1], flow[..., 0]) / (2 * np.pi)) % 1.0
  colour = matplotlib.colormaps["hsv"](hue)[..., :3]
  length = np.linalg.norm(flow, axis=-1, keepdims=True)
  share = np.clip(length / max(longest, 1e-12), 0, 1)
  return (255 * (1 - share * (1 - colour))).round().astype(np.uint8)


def fitted(x: np.ndarray, side: tuple[int, int]) -> np.ndarray:
  """[n, h, w, ...] -> [n, *side, ...], values repeated, or some left out.

  Each new pixel has the value at its first corner.
  """
  at = [np.arange(s) * n // s for s, n in zip(side, x.shape[1:3], strict=True)]
  return x[:, at[0]][:, :, at[1]]


def slices(x: np.ndarray, most: int = 4) -> np.ndarray:
  """Volumes [n, d, h, w] as pictures [n, h, k w, 1] of k slices side by side.

  Args:
    x: levels of any type.
    most: slices of a picture; they are equally far apart.
  """
  depth = x.shape[1]
  k = min(most, depth)
  chosen = (np.arange(k) * depth + depth // 2) // k
  return np.concatenate([x[:, i, :, :, None] for i in chosen], axis=2)


def sheet(
  columns: dict[str, np.ndarray], pairs: int = 2, scale: int = 0
) -> np.ndarray:
  """uint8 picture: one row per `pairs` examples, titled columns.

  Args:
    columns: title -> uint8 [n, h, w, c].
    pairs: examples side by side.
    scale: enlargement; 0: so that an image is about 128 pixels wide.
  """
  images = list(columns.values())
  n, h, w, _ = images[0].shape
  scale = scale or max(1, round(128 / w))
  gap, head = 6, 22
  cell_h, cell_w = h * scale + gap, w * scale + gap
  rows = -(-n // pairs)
  wide = len(columns) * cell_w
  canvas = PIL.Image.new(
    "RGB", (pairs * wide + (pairs - 1) * 3 * gap, rows * cell_h + head), "white"
  )
  draw = PIL.ImageDraw.Draw(canvas)
  font = PIL.ImageFont.load_default(13)
  for c, (title, stack) in enumerate(columns.items()):
    for i in range(n):
      x = (i % pairs) * (wide + 3 * gap) + c * cell_w + gap // 2
      y = (i // pairs) * cell_h + head
      grey = stack.shape[-1] == 1
      tile = PIL.Image.fromarray(stack[i, ..., 0] if grey else stack[i])
      size = (w * scale, h * scale)
      canvas.paste(tile.resize(size, PIL.Image.Resampling.NEAREST), (x, y))
      if i < pairs:
        draw.text((x + 2, 3), title, fill="black", font=font)
  return np.asarray(canvas)
