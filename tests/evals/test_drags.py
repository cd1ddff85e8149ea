"""The evaluator of drags, on drawn ones."""

import evalkit
import numpy as np
import pytest

from jmim.core import errors
from jmim.data.procedural import described
from jmim.data.procedural import dragged
from jmim.evals import drags

N = 8
RNG = np.random.default_rng(0)


def outputs():
  """Two things each; the first moves into a corner, truly in half of them."""
  looks = {"kind": 0, "colour": 1, "texture": 0}
  small = {"long": 0.15, "wide": 0.15}
  one = described.Thing(**looks, **small, x=0.25, y=0.25)
  far = described.Thing(**looks, **small, x=0.75, y=0.25)
  other = described.Thing(**looks | {"colour": 2}, **small, x=0.5, y=0.75)
  draw = lambda things: described.render(things, np.full(3, 50.0), 32)[0]
  source = np.stack([draw([one, other])] * N)
  image = np.stack([draw([far, other])] * (N // 2) + [source[0]] * (N // 2))
  rows = lambda thing: np.stack([[thing.ellipse, other.ellipse]] * N)
  units = lambda x: x.astype(np.float32) / 255
  return {
    "source": units(source),
    "image": units(image),
    "ellipses": rows(one),
    "moved": rows(far),
  }


def measured(out, parts=1, **fields):
  cut = lambda i: {k: np.array_split(x, parts)[i] for k, x in out.items()}
  over = evalkit.stub([(cut(i), {}) for i in range(parts)])
  over.spec = evalkit.context(size=32).spec
  over.pixels = evalkit.context(size=32).pixels
  return dict(drags.Evaluator(**fields).run(over))


@pytest.mark.parametrize("parts", [1, 3])
def test_shares_are_those_of_all_examples(parts):
  out = outputs()
  found = measured(out, parts)
  pixels = lambda name: (255 * out[name]).round().astype(np.uint8)
  each = dragged.measures(
    pixels("source"),
    pixels("image"),
    out["ellipses"],
    out["moved"],
    which=0,
  )
  assert found["moved"] == 100 * each["moved"].mean() == 50
  assert found["clear"] == found["kept"] == found["same_kind"] == 50
  assert found["examples"] == N and found["sheet"].ndim == 3


def test_each_picture_has_its_own_thing():
  """In some pictures the first is the one that moves, in others the second."""
  out = outputs()
  turned = np.arange(N)[:, None, None] % 3 == 0
  for name in ("ellipses", "moved"):
    out[name] = np.where(turned, out[name][:, ::-1], out[name])
  assert measured(out).keys() == measured(outputs()).keys()
  for name, value in measured(outputs()).items():
    np.testing.assert_array_equal(measured(out)[name], value)


def test_an_output_that_is_no_drag_is_named():
  out = outputs()
  del out["moved"]
  with pytest.raises(errors.UserError, match="(?s)with moved.*diffuhaul"):
    measured(out)
