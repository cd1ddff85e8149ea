"""Arrays of an .npz file from anywhere: read, not run, and not believed."""

import pathlib
import zipfile

import numpy as np

from jmim.core import errors
from jmim.core import npy


def read(path: pathlib.Path, key: str) -> dict[str, np.ndarray]:
  """Name -> array.

  Args:
    path: of the file.
    key: config key of the path, for messages.

  Raises:
    UserError: no .npz, damaged, pickled objects, or a header that claims more
      than there is.
  """
  try:
    with zipfile.ZipFile(path) as archive:
      for info in archive.infolist():
        npy.check(archive, info)
    with np.load(path, allow_pickle=False) as stored:
      return {name: stored[name] for name in stored.files}
  except npy.BROKEN as e:
    raise errors.UserError(
      f"{path} cannot be read ({errors.first_line(e)})",
      "an .npz of named arrays, as numpy.savez writes it",
      "copy or make it again",
      key,
    ) from e
