import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.edit import img2img
from jmim.methods.parts import readout


def test_kinds_are_options_of_sdedit():
  made = readout.Readout(strength=0.2, steps=9, hole=0.4, guidance=3.0)
  same = {"steps": 9, "guidance": 3.0}
  wanted = {
    "once": {"strength": 0.2, "once": True},
    "sdedit": {"strength": 0.2, "once": False},
    "inpaint": {"strength": 1.0, "hole": 0.4},
  }
  for kind in readout.KINDS:
    assert made.options(kind) == same | wanted[kind]
    img2img.Img2Img(**made.options(kind))


@pytest.mark.parametrize("kinds", [("sdedit", "dream"), ("once", "once")])
def test_kinds_that_there_are_not_are_named(kinds):
  with pytest.raises(ValueError, match="readout.kinds=.*once, sdedit, inpaint"):
    readout.Readout(kinds=kinds).check(lambda kind: None)


def test_an_edit_that_cannot_be_made_is_named():
  def one(kind):
    if kind == "inpaint":
      raise ValueError("hole=0.1")

  readout.Readout(kinds=("sdedit",)).check(one)
  with pytest.raises(ValueError, match=r"hole=0.1 \(readout.kinds .*inpaint"):
    readout.Readout(kinds=("sdedit", "inpaint")).check(one)


def test_both_halves_have_the_same_draws():
  made = readout.Readout(kinds=("once", "inpaint"))
  batch = {"image": jnp.zeros((2, 1)), "label": jnp.arange(2)}
  draws = {"start": jnp.array([[10.0], [20.0]])}

  def edit(kind):
    factor = {"once": 1, "inpaint": -1}[kind]

    def make(batch, draws):
      shift = batch["label"][:, None] + draws["start"]
      return {"image": factor * (batch["image"] + shift)}

    return make

  found = made.made(edit, batch, jnp.full((2, 1), 0.5), draws)
  assert tuple(found) == made.names()
  np.testing.assert_array_equal(found["clean_once"], [[10.0], [21.0]])
  np.testing.assert_array_equal(found["once"], [[10.5], [21.5]])
  np.testing.assert_array_equal(found["inpaint"], [[-10.5], [-21.5]])
  assert readout.Readout(kinds=()).made(edit, batch, batch["image"], {}) == {}
