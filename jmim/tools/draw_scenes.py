"""Pictures of the built-in scenes, for `draw_methods`."""

import pathlib

import matplotlib.figure
import matplotlib.patches
import numpy as np

from jmim.data import decode
from jmim.data.builders import scenes as builder
from jmim.data.builders import views as frames
from jmim.data.procedural import described

COLUMNS = 4
_TITLE = {"fontsize": 6}


def scenes(path: pathlib.Path) -> None:
  """A row of each config: captions, ellipses, and an episode's masks."""
  configs = builder.Scenes.builder_configs
  figure = matplotlib.figure.Figure((6.4, 7.6), layout="constrained")
  rows = figure.subplots(4, COLUMNS)
  for axes, name in zip(rows, ("one", "pairs", "blobs"), strict=False):
    for i, ax in enumerate(axes):
      made = builder.Scenes.example(configs[name], "test", i)
      ax.imshow(decode.decode(made["image"].getvalue(), 3))
      ax.set_title(_wrapped(made["caption"]), **_TITLE)
      for ellipse in made["ellipses"] if name == "blobs" else ():
        ax.add_patch(_outline(ellipse))
  made = builder.Scenes.example(configs["episodes"], "test", 0)
  for i, ax in enumerate(rows[3]):
    dim = 1 - 0.75 * (made["masks"][i] == 0)[..., None]
    shown = made["scenes"][i] if i == 0 else made["scenes"][i] * dim
    ax.imshow(np.asarray(shown, np.uint8))
    role = "query" if i == 0 else "support and mask"
    ax.set_title(f"{role}: {described.CLASSES[made['label']]}", **_TITLE)
  for ax in rows.flat:
    ax.set_axis_off()
  figure.savefig(path, dpi=100)


def _wrapped(caption: str) -> str:
  """On two lines."""
  words = caption.split()
  half = (len(words) + 1) // 2
  return " ".join(words[:half]) + "\n" + " ".join(words[half:])


def _outline(ellipse: np.ndarray) -> matplotlib.patches.Ellipse:
  """In pixels, whose centres are whole numbers here."""
  x, y, long, wide = ellipse[:4] * builder.SIZE
  return matplotlib.patches.Ellipse(
    (x - 0.5, y - 0.5),
    2 * long,
    2 * wide,
    angle=float(np.degrees(ellipse[4])),
    fill=False,
    edgecolor="white",
    linewidth=0.8,
  )


def views(path: pathlib.Path) -> None:
  """Frames of three scenes along their arcs, and a depth."""
  config = frames.Views.builder_configs["solids"]
  n = config.frames
  figure = matplotlib.figure.Figure((7.2, 2.6), layout="constrained")
  for scene, axes in enumerate(figure.subplots(3, n + 1)):
    made = [
      frames.Views.example(config, "test", scene * n + i) for i in range(n)
    ]
    for i, (ax, frame) in enumerate(zip(axes, made, strict=False)):
      ax.imshow(decode.decode(frame["image"].getvalue(), 3))
      title = "input" if i == n // 2 else f"view {i}"
      ax.set_title(title, **_TITLE)
    depth = made[n // 2]["depth"]
    axes[n].imshow(np.where(depth > 0, depth, np.nan), cmap="viridis")
    axes[n].set_title("depth of the input", **_TITLE)
    for ax in axes:
      ax.set_axis_off()
  figure.savefig(path, dpi=100)


FIGURES = {"scenes": scenes, "nvist": views}
