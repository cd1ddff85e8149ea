"""Depth views of the built-in clouds, for `draw_methods`."""

import pathlib

import matplotlib.figure
import numpy as np

from jmim.data.builders import shapes
from jmim.data.procedural import surfaces
from jmim.nn import project

SIDE = 56
_TITLE = {"fontsize": 7}


def depths(path: pathlib.Path) -> None:
  """A column of each class of `shapes/solids`: its three depth images."""
  names = surfaces.CLASSES
  rng = lambda i: shapes.example_rng("solids", "test", i)
  clouds = [surfaces.cloud(i, 256, rng(i)) for i in range(len(names))]
  seen = np.asarray(project.depth(np.stack(clouds), SIDE))
  figure = matplotlib.figure.Figure((6.4, 2.7), layout="constrained")
  rows = figure.subplots(len(project.VIEWS), len(names))
  for view, axes in enumerate(rows):
    for i, ax in enumerate(axes):
      ax.imshow(seen[i, view], cmap="RdBu", vmin=0, vmax=1)
      ax.set_axis_off()
      if not view:
        ax.set_title(names[i].replace("_", " "), **_TITLE)
  figure.savefig(path, dpi=100)


FIGURES = {"i2p_mae": depths}
