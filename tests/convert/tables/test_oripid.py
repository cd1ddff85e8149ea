"""The map of OriPID, published as a tensor without a name."""

import kit
import numpy as np
import pytest
import torchfile

from jmim.convert import families
from jmim.convert import files
from jmim.convert import plan
from jmim.convert.tables import oripid as tables

NAME = "oripid"


def test_names_and_arrays():
  written = kit.check(NAME, kit.tiny("edit.oripid"))
  assert set(written.theirs) == {tables.W, tables.PROTOTYPES}
  assert written.theirs[tables.W].shape == (6, 48)


def test_columns_are_channels_first():
  method = kit.tiny("edit.oripid")
  written = kit.export(NAME, method)
  z = np.random.default_rng(0).normal(size=(5, 4, 4, 3)).astype(np.float32)
  theirs = z.transpose(0, 3, 1, 2).reshape(5, -1) @ written.theirs[tables.W].T
  ours = z.reshape(5, -1) @ written.ours["params/main/map/kernel"]
  np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("save", [torchfile.save_zip, torchfile.save_plain])
@pytest.mark.parametrize("whole", [False, True])
def test_files_of_theirs(tmp_path, save, whole):
  written = kit.export(NAME, kit.tiny("edit.oripid"))
  w, prototypes = (written.theirs[n] for n in (tables.W, tables.PROTOTYPES))
  content = torchfile.Tensor(w)
  if whole:  # a checkpoint of their training
    named = {tables.W: w, tables.PROTOTYPES: prototypes}
    named = {f"module.{n}": torchfile.Tensor(x) for n, x in named.items()}
    content = {"state_dict": named, "epoch": 25}
  save(tmp_path / "w.pth.tar", content)
  made = plan.make(
    families.find(NAME),
    written.method,
    weights=files.read(tmp_path / "w.pth.tar"),
    like=written.like,
  )
  found = dict(made.leaves())
  assert set(found) == {n for n in written.ours if whole or "map" in n}
  assert made.fresh == ([] if whole else ["params/main/prototypes"])
  for leaf, array in found.items():
    np.testing.assert_array_equal(array, written.ours[leaf], leaf)


def test_what_it_cannot_be():
  network = kit.tiny("edit.oripid", convolutions=4, cells=1)
  why = families.find(NAME).objection("edit.oripid", network)
  assert why == "convolutions=4, which is 0 there"
