"""LightningDiT: angles of neighbours there, of halves here; SiT."""

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert.tables import lightningdit as tables
from jmim.nn import posemb

NAME = "diffusion.lightningdit"
SIT = dict(norm="layer", swiglu=False, rotary=False, qk_norm=False, spare=True)
LAYERS = "params/main/blocks/layers"


@pytest.mark.parametrize(
  "fields",
  [
    {},
    dict(rotary=False),
    dict(swiglu=False),
    dict(norm="layer"),
    dict(qk_norm=False),
    SIT,
  ],
)
def test_names_and_arrays(fields):
  written = kit.check("lightningdit", kit.tiny(NAME, **fields))
  assert ("feat_rope.freqs_cos" in written.theirs) == fields.get("rotary", True)
  assert ("blocks.0.norm1.weight" in written.theirs) == (
    fields.get("norm", "rms") == "rms"
  )


def test_columns_of_q_and_k_are_dealt_out_and_those_of_v_are_not():
  written = kit.export("lightningdit", kit.tiny(NAME))
  width, heads = 32, 4
  d = width // heads
  ours = written.ours[f"{LAYERS}/attn/qkv/kernel"][1]
  theirs = written.theirs["blocks.1.attn.qkv.weight"]
  for part in range(2):
    for head in (0, 3):
      for j in range(d // 2):
        start = part * width + head * d
        pair = theirs[start + 2 * j], theirs[start + 2 * j + 1]
        np.testing.assert_array_equal(pair[0], ours[:, start + j])
        np.testing.assert_array_equal(pair[1], ours[:, start + j + d // 2])
  np.testing.assert_array_equal(theirs[2 * width :], ours[:, 2 * width :].T)


def test_scales_of_the_norms_follow_the_columns():
  written = kit.export("lightningdit", kit.tiny(NAME))
  ours = written.ours[f"{LAYERS}/attn/q_norm/scale"][0]  # of a head of 8
  theirs = written.theirs["blocks.0.attn.q_norm.weight"]
  np.testing.assert_array_equal(theirs[0::2], ours[:4])
  np.testing.assert_array_equal(theirs[1::2], ours[4:])


def test_the_product_of_q_and_k_stays_under_their_rotation():
  """Both rotations, written out, give one product of q and k."""
  written = kit.export("lightningdit", kit.tiny(NAME))
  angles = posemb.rotary(written.method.net.grid, 8, tables.lightningdit.THETA)
  kernel = written.ours[f"{LAYERS}/attn/qkv/kernel"][0][:, :64]
  theirs = written.theirs["blocks.0.attn.qkv.weight"].T[:, :64]
  x = np.random.default_rng(1).normal(size=(16, 32))
  split = lambda y: y.reshape(16, 2, 4, 8)  # [n, (q k), head, d]
  here, there = split(x @ kernel), split(x @ theirs)
  a, b = here[..., :4], here[..., 4:]
  cos, sin = np.cos(angles)[:, None, None], np.sin(angles)[:, None, None]
  ours = np.concatenate([a * cos - b * sin, b * cos + a * sin], -1)
  a, b = there[..., 0::2], there[..., 1::2]
  other = np.stack([a * cos - b * sin, b * cos + a * sin], -1)
  product = lambda y: np.einsum("nhd,mhd->hnm", y[:, 0], y[:, 1])
  np.testing.assert_allclose(
    product(ours), product(other.reshape(16, 2, 4, 8)), rtol=1e-6, atol=1e-8
  )


def test_sit_has_the_names_of_dit():
  sit = kit.check("sit", kit.tiny(NAME, **SIT))
  dit = kit.export("dit", kit.tiny("diffusion.dit"))
  assert sit.theirs.keys() == dit.theirs.keys()


def test_a_sit_is_exported_as_one():
  authors = lambda **f: families.for_export(
    "authors", NAME, kit.tiny(NAME, **f)
  )
  assert authors(**SIT)[0] == "sit"
  assert authors()[0] == "lightningdit"
  assert authors(**SIT | dict(spare=False))[0] == "lightningdit"
