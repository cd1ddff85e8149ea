"""Which checkpoints a folder holds, and whose they are."""

import os
import pathlib
import socket
from collections.abc import Collection

from jmim.core import errors


def steps(path: pathlib.Path) -> list[int]:
  """The complete checkpoints in a folder, oldest first; raises OSError."""
  return sorted(int(name) for name in os.listdir(path) if name.isdigit())


def others(path: pathlib.Path, ours: Collection[int]) -> list[int]:
  """The checkpoints in a folder that are of another run.

  Args:
    path: the folder; what is wrong with it is left to those who write there.
    ours: steps that this run has saved, or began with.
  """
  try:
    return sorted({*steps(path)} - {*ours})
  except OSError:
    return []


def check(path: pathlib.Path, ours: Collection[int]) -> None:
  """Raises UserError if there are `others`."""
  if found := others(path, ours):
    raise errors.UserError(
      f"{path / str(found[-1])}, which this run (process {os.getpid()} on host "
      f"{socket.gethostname()}) has not saved",
      "one run in a workdir at a time",
      "end the other run and start this one again, which goes on from the "
      "newest checkpoint, or choose another --workdir",
      "--workdir",
    )
