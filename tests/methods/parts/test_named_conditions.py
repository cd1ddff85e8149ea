import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import randomness
from jmim.methods.parts import named_conditions

NAMES = ("garment", "pose")
PART = named_conditions.NamedConditions(
  names=NAMES, drop=(0.5, 0.1), guide=("garment",)
)


def test_conditions_are_left_out_one_by_one():
  draws = PART.draw(randomness.Keys(jax.random.key(0)), (4000, 8))
  keep = PART.kept(NAMES, draws, 4000)
  a, b = (1 - np.asarray(keep[name]) for name in NAMES)
  assert abs(a.mean() - 0.5) < 0.03 and abs(b.mean() - 0.1) < 0.02
  assert abs((a * b).mean() - 0.05) < 0.015  # apart from each other
  draws["t"] = jnp.arange(4000)
  assert set(PART.whole(draws)) == {"t"}
  whole = PART.kept(NAMES, PART.whole(draws), 3)
  assert all((x == 1).all() for x in whole.values())


def test_guidance_is_by_the_names_it_has():
  part = dataclasses.replace(PART, guide=("pose",))
  told, null = part.guided(NAMES, 2)
  for name in NAMES:
    np.testing.assert_array_equal(told[name], jnp.ones(2))
    np.testing.assert_array_equal(null[name], jnp.full(2, name == "garment"))
  assert set(part.guided(("garment",), 2)[1]) == {"garment"}


def test_guidance_is_by_what_the_network_is_told():
  lacking = {"garment": "cloth=0"}
  PART.check(NAMES, 1.0, lacking=lacking)
  PART.check(NAMES, 2.0, lacking={"pose": "branch=0"})
  with pytest.raises(ValueError, match="told.guide.*cloth=0.*'garment', only"):
    PART.check(NAMES, 2.0, "told", lacking)
  with pytest.raises(ValueError, match="only nothing"):
    PART.check(NAMES, 2.0, lacking=dict.fromkeys(NAMES, "dims=0"))


@pytest.mark.parametrize(
  "own, scale, told",
  [
    ({"names": ("shoe", "pose")}, 1.0, "shoe"),
    ({"drop": (0.1,)}, 1.0, "share"),
    ({"drop": (0.1, 1.0)}, 1.0, "share"),
    ({"guide": ("hat",)}, 1.0, "hat"),
    ({"names": ("pose",), "drop": (0.1,)}, 2.0, "leaves out"),
    ({"drop": (0.0, 0.1)}, 2.0, "leaves out"),
    ({"guide": ()}, 2.0, "leaves out"),
  ],
)
def test_names_that_there_are_not_are_refused(own, scale, told):
  PART.check(NAMES, 2.0)
  with pytest.raises(ValueError, match=told):
    dataclasses.replace(PART, **own).check(NAMES, scale)
