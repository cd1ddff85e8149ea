"""DiT-3D: cubes of voxels are patches, and the masked model has no weights."""

import re

import kit
import numpy as np
import pytest

from jmim.convert.tables import fastdit3d

SMALL = {"masked": False}


def test_names_and_arrays():
  written = kit.check("dit3d", kit.tiny("point.fastdit3d", **SMALL))
  assert written.theirs["blocks.0.mlp.fc1.weight"].shape == (96, 24)


def test_a_kernel_is_a_cube_whose_first_axis_is_x():
  written = kit.export("dit3d", kit.tiny("point.fastdit3d", **SMALL))
  ours = written.ours["params/main/patch_embed/kernel"]  # [(p q r c), d]
  theirs = written.theirs["x_embedder.proj.weight"]
  assert theirs.shape == (24, 3, 2, 2, 2)
  p, q, r, c = 1, 0, 1, 2
  np.testing.assert_array_equal(
    theirs[:, c, p, q, r], ours[((p * 2 + q) * 2 + r) * 3 + c]
  )


@pytest.mark.parametrize("before", ["model.", "module.", "model.module."])
def test_names_of_any_wrapper_are_known(before):
  ((pattern, other),) = fastdit3d.FAMILIES["dit3d"].aliases
  assert re.sub(pattern, other, f"{before}t_embedder.x") == "t_embedder.x"


@pytest.mark.parametrize(
  "fields, words",
  [
    ({}, "masked=True: weights of the masked model are not released"),
    ({"masked": False, "network": {"windows": (0,)}}, "attend globally"),
  ],
)
def test_what_was_not_released_is_refused(fields, words):
  check = fastdit3d.FAMILIES["dit3d"].check
  assert words in check(kit.tiny("point.fastdit3d", **fields))
  assert check(kit.tiny("point.fastdit3d", **SMALL)) is None
