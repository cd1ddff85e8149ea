import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import real_heads

PART = real_heads.RealHeads(names=("pose", "light"), units=((0.5, 2.0), (4.0,)))
TOLD = {"pose": jnp.array([[1.0, 1.0]]), "light": jnp.array([[0.5]])}


def test_heads_tell_in_units():
  found = PART.values(TOLD)
  np.testing.assert_array_equal(found["pose"], [[0.5, 2.0]])
  np.testing.assert_array_equal(found["light"], [[2.0]])


def test_errors_are_in_units():
  batch = {"pose": jnp.array([[0.5, 6.0]]), "light": jnp.array([[2.0]])}
  found = PART.errors(TOLD, batch)
  assert found["pose"] == pytest.approx(2.0) and found["light"] == 0


def test_entries_and_their_sizes():
  assert {n: s.shape for n, s in PART.inputs(("label",)).items()} == {
    "pose": (2,),
    "light": (1,),
  }
  assert real_heads.RealHeads().inputs(("label",)) == {}


@pytest.mark.parametrize(
  "own",
  [
    dict(names=("pose",)),
    dict(names=("pose",), units=((1.0, 0.0),)),
    dict(names=("pose",), units=((),)),
    dict(names=("label",), units=((1.0,),)),
  ],
)
def test_what_does_not_fit_is_refused(own):
  with pytest.raises(ValueError, match=r"method\.numbers\.units"):
    real_heads.RealHeads(**own).inputs(("label",))
