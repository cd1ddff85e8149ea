"""LMD: MAE's names, on latents."""

import dataclasses

import kit
import numpy as np

from jmim.convert import families
from jmim.nn import posemb


def test_names_are_those_of_mae_with_four_channels():
  written = kit.check("lmd", kit.tiny("mim.lmd"))
  other = kit.check("mae", kit.tiny("mim.mae"))
  assert written.theirs.keys() == other.theirs.keys()
  assert written.theirs["patch_embed.proj.weight"].shape == (32, 4, 4, 4)
  assert written.theirs["decoder_pred.bias"].shape == (4 * 4 * 4,)


def test_the_table_is_stored_as_it_is_although_it_is_subtracted():
  method = kit.tiny("mim.lmd")
  written = kit.check("lmd", method)
  table = posemb.sincos_2d(16, method.grid, "xy", prefix=1)
  found = written.theirs["decoder_pos_embed"]
  np.testing.assert_allclose(found[0], table, atol=1e-6)


def test_a_decoder_that_adds_its_table_is_refused():
  family, method = families.find("lmd"), kit.tiny("mim.lmd")
  assert family.objection("mim.lmd", method) is None
  adding = dataclasses.replace(method, decoder_sign=1)
  assert "decoder_sign=1" in family.objection("mim.lmd", adding)
