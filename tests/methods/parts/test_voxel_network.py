import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.masks import occupied
from jmim.methods.parts import voxel_network

PART = field.replace(
  voxel_network.VoxelNetwork(),
  size=8,
  window=2,
  dims=dict(variant="S/2", width=24, depth=2, heads=2),
  decoder=dict(width=12, depth=2, heads=2),
  decoder_windows=(1,),
)


def test_a_sound_part_passes():
  PART.check(masked=True)
  field.replace(PART, windows=(0,)).check(masked=False)


@pytest.mark.parametrize(
  "change, masked, words",
  [
    ({"dims": {"width": 20}}, True, "network.dims.width 20 .* divide by 6"),
    ({"dims": {"width": 20}}, False, "network.dims.width 20 .* divide by 6"),
    ({"decoder": {"width": 8}}, True, "network.decoder.width 8 .* by 6"),
    ({"window": 3}, True, "network.window=3 does not divide the 4 patches"),
    ({"decoder_windows": (2,)}, True, "decoder_windows: no block 2 of 2"),
    ({"windows": (2,)}, False, "network.windows: no block 2 of 2"),
    ({"windows": (0,)}, True, "set masked=False, or windows="),
    ({"chosen": 5}, True, "network.chosen=5 of network.experts=4"),
    ({"size": 9}, True, "9 does not divide by patch 2"),
  ],
)
def test_what_cannot_be_built_is_named(change, masked, words):
  with pytest.raises(ValueError, match=words):
    field.replace(PART, **change).check(masked)


def test_what_is_masked_only_is_not_built_otherwise():
  whole = jax.eval_shape(lambda k: PART.init(k, False, 3), jax.random.key(0))
  fast = jax.eval_shape(lambda k: PART.init(k, True, 3), jax.random.key(0))
  assert set(fast) - set(whole) == {
    "decoder_blocks",
    "decoder_embed",
    "decoder_window_blocks",
    "mask_token",
  }
  block = lambda tree: set(tree["blocks"]["layers"])
  assert block(whole) ^ block(fast) == {"mlp", "ffn"}


def test_points_in_patches_kept_are_seen():
  points = np.random.default_rng(0).normal(size=(1, 30, 3)).astype("f4")
  vox = PART.voxelised(jnp.asarray(points))
  ids = jnp.arange(0, 64, 3)[None]
  kept = occupied.of(ids, jnp.ones(ids.shape, bool), 64)
  cell = np.rint(np.asarray(vox.coords[0])).astype(int) // 2
  number = (cell[:, 0] * 4 + cell[:, 1]) * 4 + cell[:, 2]
  np.testing.assert_array_equal(PART.seen(vox, kept)[0], number % 3 == 0)
  assert PART.seen(vox, None).all()
