"""TAD-SR: student and critic, directions of norms, weights left behind."""

import kit
import numpy as np

from jmim.convert.tables import tad_sr as tables

NAME, METHOD = "tad_sr", "restore.tad_sr"


def test_names_and_arrays():
  written = kit.check(NAME, kit.tiny(METHOD))
  theirs, ours = written.theirs, written.ours
  inner = theirs["disc.heads.0.main.1.fn.0.weight_orig"]
  assert inner.shape == (8, 8, 9)
  kernel = ours["params/discriminator/head0/inner/kernel"]
  np.testing.assert_array_equal(inner[1, 2], kernel[:, 2, 1])
  # v runs over inputs, then places; of our kernel places come first.
  v = theirs["disc.heads.0.main.1.fn.0.weight_v"].reshape(8, 9)
  np.testing.assert_array_equal(
    v.T, ours["extra/spectral/head0/inner/kernel/v"]
  )
  assert theirs["disc.heads.1.cls.weight_orig"].shape == (4, 16, 1)
  assert theirs["disc.emb_layers.0.1.weight"].shape == (16, 8)


def test_what_the_last_call_left_is_not_read():
  written = kit.export(NAME, kit.tiny(METHOD))
  stale = {
    f"disc.heads.{i}.{name}.weight": np.full(3, np.nan, np.float32)
    for i in (0, 1)
    for name in tables.SPECTRAL.values()
  }
  made, leaves = kit.load(written, {**written.theirs, **stale})
  assert not made.fresh
  for name, array in written.ours.items():
    np.testing.assert_array_equal(leaves[name], array)


def test_a_file_of_the_student_has_resshifts_names():
  written = kit.export(NAME, kit.tiny(METHOD))
  student = {
    n.removeprefix("net."): x
    for n, x in written.theirs.items()
    if n.startswith("net.")
  }
  made, leaves = kit.load(written, student)
  assert all(n.startswith("params/student/") for n in leaves)
  assert {n.split("/")[1] for n in made.fresh} == {"discriminator", "spectral"}


def test_heads_without_time_have_no_layer_of_it():
  written = kit.check(NAME, kit.tiny(METHOD, critic=dict(timed=False)))
  assert not [n for n in written.theirs if "emb_layers" in n and "disc" in n]
