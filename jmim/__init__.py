"""Masked image modelling and masked diffusion in JAX.

The Python interface: `load` for trained weights, `recipe`, `train` and `run`
for runs (docs/python.md). The command line is `python -m jmim.main`.
"""

# Importing jmim costs nothing: what a function needs is imported by its call.

import importlib

__version__ = "0.1.0"


def load(path: str, weights: str = "raw", host: str | None = None) -> object:
  """A folder or file of weights as a frozen model; see `jmim.hub`.

  Args:
    path: workdir of a run, an export, a folder of the Hugging Face hub, or a
      file in one of these.
    weights: of a run: "raw" or "ema".
    host: of weights that were trained over a frozen host: another one.

  Returns:
    `hub.Model`: `model("features", images)`, `model.sample(16)`.
  """
  return importlib.import_module("jmim.hub").load(path, weights, host)


def recipe(name: str, *items: str) -> object:
  """The config of a recipe with changed keys; see `jmim.running.recipe`."""
  return importlib.import_module("jmim.running").recipe(name, *items)


def train(config: object, workdir: object, **heard: object) -> object:
  """Trains a run or goes on with it; see `jmim.running.train`."""
  return importlib.import_module("jmim.running").train(config, workdir, **heard)


def run(workdir: object) -> object:
  """A run that is there; see `jmim.running.Run`."""
  return importlib.import_module("jmim.running").Run(workdir)
