import jax
import numpy as np
import pytest

from jmim.core import randomness
from jmim.nn.degrade import draws


def test_numbers_are_of_the_images_and_within_their_ends():
  make = draws.Drawing(randomness.Keys(jax.random.key(0)), (500, 4, 6, 3))
  make.uniform("far", 2.0, 3.0, 2)
  make.whole("count", 1, 3)
  make.choice("kind", (0.0, 3.0, 1.0))
  make.coin("side", 0.9)
  make.normal("noise")
  make.normal("small", 2)
  shapes = {name: x.shape for name, x in make.found.items()}
  image = (500, 4, 6, 3)
  assert shapes == {
    "far": (500, 2),
    "count": (500,),
    "kind": (500,),
    "side": (500,),
    "noise": image,
    "small": (500, 2),
  }
  far = np.asarray(make.found["far"])
  assert 2 <= far.min() < 2.05 and 2.95 < far.max() < 3
  assert set(np.asarray(make.found["count"])) == {1, 2, 3}
  kinds = np.bincount(make.found["kind"], minlength=3) / 500
  np.testing.assert_allclose(kinds, [0, 0.75, 0.25], atol=0.07)
  assert 0.85 < make.found["side"].mean() < 0.95
  with pytest.raises(ValueError, match="'side' is taken twice"):
    make.coin("side", 0.5)
