"""Good files of every format, changed at random: refused, or read.

Never a traceback, never without end, never over a set memory.
"""

import math

import hypothesis
import numpy as np
import pytest
import safetensors.numpy
import torchfile
from hypothesis import strategies as st
from strangers import MIB
from strangers import watch

from jmim.convert import files
from jmim.core import errors

ARRAYS = {
  "a.weight": np.arange(12, dtype=np.float32).reshape(3, 4),
  "b": np.arange(5, dtype=np.int64),
}
SAVERS = {
  "x.safetensors": lambda p: safetensors.numpy.save_file(ARRAYS, p),
  "x.npz": lambda p: np.savez(p, **ARRAYS),
  "packed.npz": lambda p: np.savez_compressed(p, **ARRAYS),
  "x.pth": lambda p: torchfile.save_zip(p, _tensors()),
  "x.bin": lambda p: torchfile.save_plain(p, _tensors()),
  "x.index.json": lambda p: p.write_text('{"weight_map": {"b": "x.npz"}}'),
}
# (place as a share of the file, what is done there, a number)
EDITS = st.lists(
  st.tuples(
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(("byte", "huge", "cut", "drop", "twice")),
    st.integers(0, 255),
  ),
  min_size=1,
  max_size=4,
)


def _tensors():
  return {"model": {n: torchfile.Tensor(a) for n, a in ARRAYS.items()}}


def changed(data, edits):
  """The bytes after some edits."""
  for place, kind, number in edits:
    at = int(place * len(data))
    before, after = data[:at], data[at:]
    data = {
      "byte": before + bytes([number]) + after[1:],
      "huge": before + b"\xff" * 8 + after[8:],
      "cut": before,
      "drop": before + after[number:],
      "twice": before + after[: number + 1] + after,
    }[kind]
  return data


def read(path):
  """Bytes of all arrays, or None if the file is refused."""
  try:
    weights = files.read(path)
    sizes = [math.prod(weights.shape(name)) for name in weights]
    assert sum(sizes) < MIB, "more numbers than the file has bytes"
    return [weights[name].nbytes for name in weights]
  except errors.UserError as error:
    assert len(error.screen()) < 3000
    return None


def _hold(tmp_path_factory, name, edits):
  folder = tmp_path_factory.mktemp("x")
  np.savez(folder / "x.npz", **ARRAYS)
  SAVERS[name](folder / name)
  path = folder / name
  path.write_bytes(changed(path.read_bytes(), edits))
  with watch() as took:
    read(path)
  assert took.memory < 64 * MIB


@pytest.mark.parametrize("name", SAVERS)
def test_a_changed_file_is_refused_or_read(name, tmp_path_factory):
  hold = lambda edits: _hold(tmp_path_factory, name, edits)
  given = hypothesis.given(EDITS)(hold)
  hypothesis.settings(max_examples=40, deadline=None, database=None)(given)()


@pytest.mark.slow
@pytest.mark.parametrize("name", SAVERS)
def test_thousands_of_changed_files(name, tmp_path_factory):
  hold = lambda edits: _hold(tmp_path_factory, name, edits)
  given = hypothesis.given(EDITS)(hold)
  hypothesis.settings(max_examples=3000, deadline=None, database=None)(given)()


def test_an_unchanged_file_is_read(tmp_path):
  for name, save in SAVERS.items():
    save(tmp_path / name)
    assert read(tmp_path / name), name
