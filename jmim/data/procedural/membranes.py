"""Volumes as an electron microscope may see them: cells and their membranes.

Random sites cut the volume into cells, each voxel belonging to the nearest (a
Voronoi partition, in units in which slices are `THICK` voxels apart, as they
are in serial sections). Where the distances to the nearest and the second
nearest site differ by little, a membrane lies: dark, on cells each of a grey of
its own, under a smooth field and noise.

Made for TokenUnify (Chen et al. 2025), whose volumes are of neurons.
"""

import dataclasses

import cv2
import numpy as np
import scipy.spatial

from jmim.data.procedural import drawing

SPACE = 16.0  # sites are about so many voxels apart, in a slice
THICK = 2.0  # voxels of a slice from one slice to the next
HALF = 0.9  # half thickness of a membrane [voxels of a slice]
DARK, LIGHT = 90.0, (125.0, 205.0)  # levels, 0 .. 255
FIELD, NOISE = 8.0, 30.0  # standard deviations [levels]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tissue:
  """Cells of a volume.

  Attributes:
    sites: [n, 3] (z, y, x) in voxels of a slice.
    greys: [n] levels of their insides.
  """

  sites: np.ndarray
  greys: np.ndarray


def draw(shape: tuple[int, int, int], rng: np.random.Generator) -> Tissue:
  """Random cells for a volume [d, h, w], some of them beyond its borders."""
  extent = np.array(shape) * (THICK, 1.0, 1.0)
  wide = extent + 2 * SPACE
  count = int(np.ceil(np.prod(wide) / SPACE**3))
  sites = rng.uniform(-SPACE, extent + SPACE, (count, 3))
  return Tissue(sites=sites, greys=rng.uniform(*LIGHT, count))


def partition(
  tissue: Tissue, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
  """(int64 [d, h, w] number of the site of a voxel, bool: a membrane).

  The distance of a voxel to the plane between two sites a and b is
  (|x - b|^2 - |x - a|^2) / (2 |a - b|).
  """
  axes = [np.arange(n) + 0.5 for n in shape]
  z, y, x = np.meshgrid(axes[0] * THICK, *axes[1:], indexing="ij")
  at = np.stack([z, y, x], -1).reshape(-1, 3)
  sites = tissue.sites
  far, which = scipy.spatial.cKDTree(sites).query(at, k=2)
  first, second = which.T
  gap = far[:, 1] ** 2 - far[:, 0] ** 2
  apart = np.linalg.norm(sites[first] - sites[second], axis=1)
  thin = gap / (2 * np.maximum(apart, 1e-9)) < HALF
  return first.reshape(shape), thin.reshape(shape)


def render(
  tissue: Tissue, shape: tuple[int, int, int], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
  """uint8 volume, uint8 ids of the cells from 1, uint8 membranes (0, 1).

  All [d, h, w]. Ids are counted in the order in which raster order meets them;
  voxels of membranes have the id of the cell that they bound.

  Args:
    tissue: what is shown.
    shape: [d, h, w].
    rng: of field and noise.
  """
  owner, membrane = partition(tissue, shape)
  levels = np.where(membrane, DARK, tissue.greys[owner])
  field = rng.standard_normal(shape).astype(np.float32)
  smooth = np.stack([cv2.GaussianBlur(s, (0, 0), 6.0) for s in field])
  levels = levels + FIELD * smooth / max(smooth.std(), 1e-9)
  levels = levels + NOISE * rng.standard_normal(shape)
  volume = drawing.levels(levels)
  _, start, place = np.unique(owner, return_index=True, return_inverse=True)
  order = np.argsort(np.argsort(start))
  ids = 1 + order[place.reshape(shape)]
  if ids.max() > 255:
    raise ValueError(f"{ids.max()} cells in {shape}, more than 255")
  return volume, ids.astype(np.uint8), membrane.astype(np.uint8)
