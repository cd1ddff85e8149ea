"""ThinkDiff's projector: the authors' names."""

import kit
import numpy as np


def tiny(**projector):
  return kit.tiny("text.thinkdiff", projector=dict(norm="own") | projector)


def test_names():
  written = kit.check("thinkdiff", tiny())
  assert set(written.theirs) == {
    *(f"mm_projector.{i}.{n}" for i in (0, 2) for n in ("weight", "bias")),
    "mm_projector.3.weight",
  }
  m = written.method
  shape = (m.t5.width, m.variant.width)
  assert written.theirs["mm_projector.0.weight"].shape == shape


def test_what_stands_beside_it_is_ignored():
  written = kit.check("thinkdiff", tiny())
  file = {f"model.{n}": x for n, x in written.theirs.items()}
  file["model.language_model.shared.weight"] = np.zeros((2, 2), np.float32)
  made, leaves = kit.load(written, file)
  assert not made.fresh
  for name, array in leaves.items():
    np.testing.assert_array_equal(array, written.ours[name])


def test_a_norm_that_is_stored_as_a_difference_has_no_place():
  said = kit.export("thinkdiff", tiny()).family.objection(
    "text.thinkdiff", tiny(norm="copied")
  )
  assert said == "projector.norm='copied', which is 'own' there"
