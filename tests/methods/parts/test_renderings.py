import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method
from jmim.methods.parts import renderings

RNG = np.random.default_rng(0)
FACTORS = ("pose", "light")
PART = renderings.Renderings(
  numbers=("pose", "expression", "light"), sizes=(2, 3, 1), factors=FACTORS
)
SPEC = PART.inputs(method.Input((4, 4, 3)))
normal = lambda spec: jnp.asarray(RNG.normal(size=(2, *spec.shape)))
BATCH = {name: normal(spec) for name, spec in SPEC.items()}


def test_all_entries_are_read():
  assert SPEC["renderings"].shape == (2, 4, 4, 3)
  assert {n for n in SPEC if n.startswith("source_")} == {
    "source_pose",
    "source_expression",
    "source_light",
  }
  plain = renderings.Renderings(numbers=("pose",), sizes=(2,))
  assert set(plain.inputs(method.Input((4, 4, 3)))) == {"rendering", "pose"}
  assert PART.wide == 6


def test_numbers_follow_one_another():
  shown, numbers = PART.told(BATCH)
  np.testing.assert_array_equal(shown, BATCH["rendering"])
  each = [BATCH[n] for n in PART.numbers]
  np.testing.assert_allclose(numbers, np.concatenate(each, -1), rtol=1e-6)


def test_one_factor_alone_is_the_querys():
  shown, numbers = PART.told(BATCH, 1)
  np.testing.assert_array_equal(shown, BATCH["renderings"][:, 1])
  names = ("source_pose", "source_expression", "light")
  each = [BATCH[n] for n in names]
  np.testing.assert_allclose(numbers, np.concatenate(each, -1), rtol=1e-6)


def test_nothing_is_told_of_what_is_not_used():
  bare = renderings.Renderings(used=False, numbers=())
  bare.check()
  assert bare.told({}) == (None, None) and bare.wide == 0
  assert bare.inputs(method.Input((4, 4, 3))) == {}
  shown, numbers = renderings.Renderings(numbers=()).told(BATCH)
  assert numbers is None and shown.shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
  "own, told",
  [
    (dict(sizes=(2, 3)), "told.rendering.sizes"),
    (dict(used=False), "told.rendering.used"),
    (dict(factors=("hat",)), "hat"),
    (dict(used=False, numbers=(), factors=("pose",)), "factors"),
  ],
)
def test_fields_that_do_not_go_together(own, told):
  with pytest.raises(ValueError, match=told):
    renderings.Renderings(**own).check()
