import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import runtime
from jmim.methods.parts import backbone
from jmim.nn import sizes
from jmim.nn.nets import swin
from jmim.nn.nets import vit

VIT = backbone.Backbone(variant="B/16")
SWIN = backbone.Backbone(variant="SwinB/4")
SMALL = backbone.Backbone(variant="Ti/4", width=16, depths=(1,), heads=(2,))


def test_the_name_of_the_variant_chooses_the_network():
  assert isinstance(VIT.net(224), vit.ViT) and not VIT.windowed
  assert isinstance(SWIN.net(192), swin.Swin) and SWIN.windowed
  assert VIT.size == sizes.SIZES["B"]
  assert SWIN.size == swin.SIZES["SwinB"]
  assert (VIT.patch, VIT.grid(224), VIT.net(224).stride) == (16, (14, 14), 16)
  assert (SWIN.patch, SWIN.grid(192), SWIN.net(192).stride) == (4, (48, 48), 32)


def test_overrides_win():
  part = dataclasses.replace(
    SWIN, width=8, depths=(2, 1), heads=(2, 4), window=3, mlp_ratio=2.0
  )
  assert part.size == swin.Size(
    width=8, depths=(2, 1), heads=(2, 4), window=3, mlp_ratio=2.0
  )
  assert SMALL.size == sizes.Size(width=16, depth=1, heads=2)


def test_positions_of_a_vit_are_one_table_or_one_per_block_or_none():
  image = np.zeros((1, 8, 8, 3), np.float32)

  def tables(relative):
    net = dataclasses.replace(SMALL, relative=relative).net(8)
    shapes = jax.eval_shape(net.init, jax.random.key(0), image)["params"]
    paths = jax.tree_util.tree_leaves_with_path(shapes)
    names = [jax.tree_util.keystr(path) for path, _ in paths]
    return [name for name in names if "'table'" in name]

  (shared,), (block,) = tables("shared"), tables("block")
  assert "rel_pos_bias" in shared and "blocks" in block
  assert tables("none") == []


def test_options_of_a_vit_reach_the_network():
  part = dataclasses.replace(
    SMALL,
    layer_scale=0.0,
    final_norm=False,
    qkv_bias=False,
    positions="learned",
  )
  net = part.net(8)
  images = np.zeros((1, 8, 8, 3))
  params = jax.eval_shape(net.init, jax.random.key(0), images)["params"]
  layers = params["blocks"]["layers"]
  assert "norm" not in params and "pos_embed" in params
  assert "ls1" not in layers and set(layers["attn"]["qkv"]) == {"kernel"}
  assert not {"q_bias", "v_bias"} & set(layers["attn"])


def test_the_runtime_is_that_of_the_method():
  rt = runtime.Runtime(dtype=jnp.bfloat16)
  for part, side in ((VIT, 224), (SWIN, 192)):
    assert dataclasses.replace(part, rt=rt).net(side).rt is rt


@pytest.mark.parametrize(
  "part, side, message",
  [
    (VIT, 220, "image side 220 does not divide by patch 16"),
    (SWIN, 200, "a grid of 50"),
    (dataclasses.replace(VIT, variant="Q/16"), 224, "variant 'Q/16'"),
    (dataclasses.replace(SWIN, variant="SwinQ/4"), 192, "variant 'SwinQ/4'"),
  ],
)
def test_what_cannot_be_built_is_named(part, side, message):
  with pytest.raises(ValueError, match=message):
    part.check(side)


def test_a_vit_without_a_table_may_have_any_even_width():
  dataclasses.replace(SMALL, width=18, heads=(3,)).check(8)
