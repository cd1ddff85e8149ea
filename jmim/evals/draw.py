"""Pictures of maps and sheets of images; not an evaluator."""

import matplotlib
import numpy as np

from jmim.evals import recon

sheet = recon.sheet


def palette(n: int) -> np.ndarray:
  """uint8 [n, 3] colours that differ, the first (background) dark."""
  colours = matplotlib.colormaps["tab20"](np.arange(n - 1) % 20)[:, :3]
  return np.concatenate([[[30, 30, 30]], 255 * colours]).astype(np.uint8)


def classes(x: np.ndarray) -> np.ndarray:
  """Class ids [n, h, w] -> uint8 [n, h, w, 3]."""
  return palette(256)[x.astype(np.uint8)]


def heat(x: np.ndarray, low: float, high: float) -> np.ndarray:
  """Values [...] from `low` to `high` -> uint8 [..., 3], dark to bright."""
  share = (x - low) / max(high - low, 1e-12)
  colours = matplotlib.colormaps["viridis"](np.clip(share, 0, 1))
  return (255 * colours[..., :3]).round().astype(np.uint8)


def enlarge(x: np.ndarray, side: tuple[int, int]) -> np.ndarray:
  """[n, h, w, ...] -> [n, *side, ...], each value repeated."""
  factors = [-(-s // n) for s, n in zip(side, x.shape[1:3], strict=True)]
  big = x.repeat(factors[0], 1).repeat(factors[1], 2)
  return big[:, : side[0], : side[1]]
