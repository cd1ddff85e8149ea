"""A picture of the built-in dancers, for `draw_methods`."""

import pathlib

import matplotlib.figure

from jmim.data.builders import dancers as builder

FRAMES = 8
ROWS = {
  "frames": "the video",
  "agnostic": "agnostic",
  "pose": "pose",
  "swapped": "the truth",
}


def dancers(path: pathlib.Path) -> None:
  """Eight frames of one dancer: what is seen, and both garments."""
  config = builder.Dancers.builder_configs["clips"]
  made = builder.Dancers.example(config, "test", 1)
  figure = matplotlib.figure.Figure((7.6, 3.8), layout="constrained")
  grid = figure.subplots(len(ROWS), 1 + FRAMES)
  flats = {"frames": "garment", "swapped": "other"}
  for axes, (name, title) in zip(grid, ROWS.items(), strict=True):
    for ax in axes:
      ax.set_axis_off()
    axes[0].set_title(title, fontsize=6)
    if name in flats:
      axes[0].imshow(made[flats[name]])
    for ax, frame in zip(axes[1:], made[name][::2], strict=True):
      ax.imshow(frame)
  figure.savefig(path, dpi=100)


FIGURES = {"viton_dit": dancers}
