"""CRATE-MAE: layouts, tables that nobody reads, and blocks it lacks."""

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.nn import posemb


@pytest.fixture(scope="module")
def written():
  return kit.check("crate_mae", kit.tiny("mim.crate_mae"))


def test_one_head_alone_has_no_projection(written):
  one = kit.tiny("mim.crate_mae", dims=dict(heads=1))
  names = {n for n in written.theirs if "to_out" in n}
  assert names == {
    f"{layer}.fn.to_out.0.{leaf}"
    for layer in (
      "blocks.0.layers.0.0",
      "blocks.1.layers.0.0",
      "decoder_blocks.0.layers.0.1",
    )
    for leaf in ("weight", "bias")
  }
  assert kit.check("crate_mae", one).theirs.keys() == {*written.theirs} - names


def test_dictionaries_are_transposed_layer_by_layer(written):
  for theirs, ours in (
    (
      "blocks.1.layers.0.1.fn.weight",
      written.ours[_name("encoder", "ista")][1],
    ),
    (
      "decoder_blocks.0.layers.0.0.fn.weight",
      written.ours[_name("decoder", "linear")][0],
    ),
  ):
    np.testing.assert_array_equal(written.theirs[theirs], ours.T)


def _name(player, layer):
  return f"params/main/{player}/blocks/layers/{layer}/kernel"


def test_the_table_is_that_of_the_decoder_by_name_only(written):
  rows = posemb.sincos_2d(32, written.method.grid, "xy", prefix=1)
  np.testing.assert_array_equal(written.theirs["decoder_pos_embed"][0], rows)


def test_what_checkpoints_hold_unused_is_left_out(written):
  more = {
    "pos_embed": np.zeros((1, 17, 32)),
    "decoder_embed.weight": np.zeros((32, 32)),
    "decoder_embed.bias": np.zeros(32),
  }
  made, leaves = kit.load(written, written.theirs | more)
  assert made.ignored == sorted(more) and leaves.keys() == written.ours.keys()


def test_a_file_without_the_decoder_leaves_it_fresh(written):
  """Its table is read: it is the encoder's."""
  decoder = ("decoder_blocks", "decoder_norm", "decoder_pred")
  part = {n: x for n, x in written.theirs.items() if not n.startswith(decoder)}
  made, _ = kit.load(written, part)
  assert {n.split("/")[2] for n in made.fresh} == {"decoder"}


def test_the_baseline_has_no_place_there():
  plain = kit.tiny("mim.crate_mae", blocks={"type": "vit"})
  family = families.find("crate_mae")
  assert "blocks of a ViT" in family.objection("mim.crate_mae", plain)
