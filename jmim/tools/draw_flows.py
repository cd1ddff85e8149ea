"""Pictures of flows between two images, for `draw_methods`."""

import pathlib

import numpy as np

from jmim.data.procedural import scenes
from jmim.data.procedural import warps
from jmim.evals.lib import draw
from jmim.metrics import flow as metrics
from jmim.nn import matching
from jmim.tools import sheets

SEEDS = (3, 4, 8)
SIDE = 32
NEAR = 10  # cells whose places are compared


def warped(path: pathlib.Path) -> None:
  """Sources, targets, true flows, likeliest cells, and how sure they are."""
  pairs = []
  for seed in SEEDS:
    rng = np.random.default_rng(seed)
    things = scenes.random_things(SIDE, rng)
    image, _, _ = scenes.render(things, scenes.background(SIDE, rng))
    pairs.append(warps.pair(np.clip(image / 255, 0, 1), rng))
  join = lambda name: np.stack([pair[name] for pair in pairs])
  images, truth, known = join("images"), join("flow"), join("known")
  source, target = (_squares(images[:, i]) for i in (0, 1))
  cosines = matching.correlation([source], [target])
  likeliest = np.asarray(matching.likeliest(cosines))
  apart = _apart(np.asarray(cosines))
  longest = np.linalg.norm(truth, axis=-1).max()
  paint = lambda flow: draw.directions(flow, longest)
  bytes_of = lambda x: (255 * x).round().astype(np.uint8)
  columns = {
    "source": bytes_of(images[:, 0]),
    "target": bytes_of(images[:, 1]),
    "true flow": np.where(known[..., None], paint(truth), 0).astype(np.uint8),
    "likeliest": paint(likeliest),
    f"spread of {NEAR}": draw.heat(apart, 0.0, float(apart.max())),
  }
  sheets.write_few(path, draw.sheet(columns, pairs=1, scale=4))


def _squares(images: np.ndarray) -> np.ndarray:
  """[n, h, w, 75]: the 5 x 5 pixels around each, grey is 0."""
  padded = np.pad(images, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
  h, w = images.shape[1:3]
  each = [padded[:, i : i + h, j : j + w] for i, j in np.ndindex(5, 5)]
  made = np.concatenate(each, axis=-1)
  return (made - made.mean((1, 2), keepdims=True)).astype(np.float32)


def _apart(cosines: np.ndarray) -> np.ndarray:
  """[b, h, w]: spread of the places of the source cells most alike."""
  b, sh, sw, h, w = cosines.shape
  flat = cosines.reshape(b, sh * sw, h, w)
  best = np.argpartition(flat, -NEAR, axis=1)[:, -NEAR:]
  return metrics.spread(np.stack([best % sw, best // sw], axis=-1))


FIGURES = {"diffmatch": warped}
