"""Pictures of tasks told by pairs, for `draw_methods`."""

import pathlib

import jax
import matplotlib.figure
import numpy as np

from jmim.data import shape_pictures
from jmim.data.builders import shapes
from jmim.nn import visual_tasks

SHOWN = ("edges", "inpaint", "hue_swap", "next_position")
PAIRS = 2
_TITLE = {"fontsize": 7}


def lavin_dit(path: pathlib.Path) -> None:
  """A row of each task: two pairs, a query, and the target that is asked."""
  config = shapes.Shapes.builder_configs["sets"]
  rng = shapes.example_rng("sets", "test", 0)
  video = shape_pictures.pictures(config, rng)["video"][: PAIRS + 1]
  x = (video / 127.5 - 1).astype(np.float32)
  u = jax.random.uniform(jax.random.key(0), (len(x), 4))
  columns = 2 * (PAIRS + 1)
  figure = matplotlib.figure.Figure((6.4, 4.6), layout="constrained")
  rows = figure.subplots(len(SHOWN), columns)
  roles = ("input", "target") * PAIRS + ("query", "asked for")
  for axes, name in zip(rows, SHOWN, strict=True):
    made = np.stack(visual_tasks.TASKS[name](x, u), axis=1)
    frames = made.reshape(columns, *made.shape[2:])
    for ax, frame, role in zip(axes, frames, roles, strict=True):
      ax.imshow(((frame + 1) / 2).clip(0, 1))
      ax.set_title(role if role != "input" else f"{name}:", **_TITLE)
      ax.set_axis_off()
  figure.savefig(path, dpi=100)


FIGURES = {"lavin_dit": lavin_dit}
