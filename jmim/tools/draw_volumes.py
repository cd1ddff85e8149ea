"""Pictures of volumes and of what is hidden of them, for `draw_methods`."""

import pathlib

import jax
import jax.numpy as jnp
import matplotlib.figure
import numpy as np
import PIL.Image

from jmim.data.builders import membranes as builder
from jmim.evals.lib import draw
from jmim.methods.parts import hidden_tokens
from jmim.methods.parts import raster

SHOWN = (0, 3, 6, 9)  # slices
GREY = 120
FEW = 37  # tokens in front of the one that is next


def membranes(path: pathlib.Path) -> None:
  """Four slices: a volume, its cells, both inputs, and the next token."""
  (config,) = builder.Membranes.BUILDER_CONFIGS
  made = builder.Membranes.example(config, "test", 0)
  volume = jnp.asarray(made["volume"])[None]
  tokens = raster.Raster(shape=config.shape, patch=(2, 8, 8))
  noise = jax.random.uniform(jax.random.key(0), (1, tokens.count))
  draws = {"noise": noise, "prefix": jnp.array([FEW])}
  keep = hidden_tokens.Hidden().keep(draws, tokens)
  following = tokens.prefix(draws["prefix"] + 1) ^ keep["prefix"]
  paint = lambda ids: draw.classes(np.where(ids > 0, 1 + ids % 20, 0))
  rows = {
    "volume": volume[0],
    "cells": paint(made["cells"].astype(int)),
    "random": tokens.hide(volume, keep["random"], GREY)[0],
    f"first {FEW}": tokens.hide(volume, keep["prefix"], GREY)[0],
    "next": tokens.hide(volume, following, GREY)[0],
  }
  figure = matplotlib.figure.Figure((6.4, 8.0), layout="constrained")
  grid = figure.subplots(len(rows), len(SHOWN))
  for axes, (name, slices) in zip(grid, rows.items(), strict=True):
    for ax, z in zip(axes, SHOWN, strict=True):
      ax.imshow(np.asarray(slices[z]), cmap="grey", vmin=0, vmax=255)
      ax.set_title(f"{name}, slice {z}", fontsize=6)
      ax.set_axis_off()
  figure.savefig(path, dpi=100)
  with PIL.Image.open(path) as picture:
    few = picture.convert("RGB").quantize(64)
  few.save(path, optimize=True)


FIGURES = {"tokenunify": membranes}
