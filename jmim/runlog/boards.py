"""Weights & Biases, beside metrics.jsonl: optional, and never in the way.

The run's id is kept in workdir/wandb_id.txt, so that a resumed run goes on as
the same one there. Without network or login the numbers are kept in the
workdir (`wandb sync`), and whatever fails later is reported once.
"""

import importlib
import json
import pathlib
import secrets
from collections.abc import Callable
from collections.abc import Mapping
from typing import Any

import ml_collections
import numpy as np

from jmim.core import errors
from jmim.core import files

ID = "wandb_id.txt"


def check(config: ml_collections.ConfigDict) -> None:
  """Raises UserError if the config names a project and W&B is not here."""
  if not config.logging.wandb_project:
    return
  try:
    importlib.import_module("wandb")
  except ImportError as e:
    raise errors.UserError(
      f"logging.wandb_project without wandb ({e})",
      "the package wandb",
      "pip install 'jmim[wandb]', or leave the key empty",
      "logging.wandb_project",
    ) from e


def open(
  config: ml_collections.ConfigDict,
  workdir: pathlib.Path,
  warn: Callable[[str], None],
) -> "Wandb | None":
  """The board of `logging.wandb_project`, or None.

  Raises:
    OSError: the id cannot be kept in the workdir.
  """
  return Wandb(config, workdir, warn) if config.logging.wandb_project else None


class Wandb:
  """Sends what a run measures to Weights & Biases."""

  def __init__(
    self,
    config: ml_collections.ConfigDict,
    workdir: pathlib.Path,
    warn: Callable[[str], None],
  ):
    """Starts or continues the run there; `warn` prints what went wrong."""
    self._warn, self._wandb = warn, importlib.import_module("wandb")
    workdir.mkdir(parents=True, exist_ok=True)
    path = workdir / ID
    if not path.exists():
      files.replace(path, secrets.token_hex(4))
    settings = {
      "project": config.logging.wandb_project,
      "id": path.read_text(encoding="utf-8").strip(),
      "name": workdir.resolve().name,
      "dir": str(workdir),
      "config": json.loads(config.to_json()),
      "resume": "allow",
    }
    self._run = self._start(settings, config.logging.wandb_mode)
    if self._run:  # steps may come again after a rollback
      self._try(lambda: self._run.define_metric("*", step_metric="step"))

  def _start(self, settings: dict[str, Any], mode: str) -> Any:
    """The run there; offline if it cannot be online; None if neither."""
    try:
      return self._wandb.init(mode=mode, **settings)
    except Exception as e:
      self._warn(f"wandb ({mode}): {errors.first_line(e)}")
      return None if mode == "offline" else self._start(settings, "offline")

  def _try(self, act: Callable[[], None]) -> None:
    """Does something; after the first failure, which is reported, nothing."""
    if self._run is None:
      return
    try:
      act()
    except Exception as e:
      self._warn(f"wandb gets nothing more: {errors.first_line(e)}")
      self._run = None

  def scalars(self, step: int, values: Mapping[str, float | str]) -> None:
    """Numbers of a step; those that are not finite may be text ("nan")."""
    plain = {name: float(value) for name, value in values.items()}
    self._try(lambda: self._run.log({"step": step, **plain}))

  def image(self, step: int, name: str, pixels: np.ndarray) -> None:
    """A uint8 picture [h, w, 3] of a step."""
    make = self._wandb.Image
    self._try(lambda: self._run.log({"step": step, name: make(pixels)}))

  def close(self) -> None:
    """Waits until everything is there, or kept in the workdir."""
    self._try(lambda: self._run.finish())
