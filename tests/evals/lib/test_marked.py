import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data.procedural import described
from jmim.data.procedural import scenes
from jmim.evals.lib import marked


def test_the_thing_is_what_pixels_show():
  context = evalkit.context(size=32)
  thing = described.Thing(
    kind=0, colour=1, texture=0, y=0.4, x=0.6, long=0.2, wide=0.2
  )
  image, instance = described.render([thing], np.full(3, 50.0), 32)
  assert thing.kind == scenes.KINDS.index("circle")
  out = {"image": image[None] / 255.0}
  found = marked.labels(context, out, "thing", "truth")
  np.testing.assert_array_equal(found[0], instance)


def test_another_entry_is_taken_as_it_is_and_a_missing_one_named():
  context, out = evalkit.context(size=4), {"mask": np.ones((1, 4, 4))}
  assert marked.labels(context, out, "mask", "truth") is out["mask"]
  with pytest.raises(
    errors.UserError, match="(?s)gess.*one of mask, or 'thing'"
  ):
    marked.labels(context, out, "gess", "guess")
