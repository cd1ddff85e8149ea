import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn.nets import block_vae

WIDTHS = "8:8,4:12,1:6"
DIMS = block_vae.Dims(
  encoder="8,8d2,8t4,4d4,4t1,1",
  encoder_widths=WIDTHS,
  decoder="1,1u4,1t4,4,4u2,4t8,8",
  decoder_widths=WIDTHS,
)
NET = DIMS.net(2, runtime.Runtime())


def shapes(dims):
  init = dims.net(3, runtime.Runtime()).init
  found = trees.named(jax.eval_shape(init, jax.random.key(0)))
  return {name: x.shape for name, x in found.items()}


def counted(sides):
  """Parameters of a block by its width and side, times how many there are."""
  kernel = {False: 9, True: 1}
  one = lambda w, side: (
    2 * w * (w // 2) + 2 * kernel[side == 1] * (w // 2) ** 2 + 3 * (w // 2) + w
  )
  return sum(n * one(w, side) for side, w, n in sides)


def test_parameters_of_the_published_vae_are_those_of_its_strings():
  """Counted by hand for CIFAR-10: blocks, transitions and ends."""
  found = sum(int(np.prod(s)) for s in shapes(block_vae.Dims()).values())
  blocks = [(32, 64, 8), (16, 128, 5), (8, 256, 5), (4, 256, 4), (1, 512, 3)]
  up = [(32, 64, 15), (16, 128, 7), (8, 256, 3), (4, 256, 2), (1, 512, 1)]
  between = 64 * 128 + 128 * 256 + 256 * 256 + 256 * 512
  ends = 27 * 64 + 2 * 512**2 + 27 * 64 + 3
  assert found == counted(blocks) + counted(up) + 2 * between + ends


def test_convolutions_at_side_one_are_maps_and_layers_count_all_words():
  found = shapes(DIMS)
  assert found["encoder/blocks/layer5/c2/kernel"] == (3, 3)
  assert found["encoder/blocks/layer3/c2/kernel"] == (3, 3, 6, 6)
  assert found["encoder/blocks/layer2/kernel"] == (8, 12)
  assert "encoder/blocks/layer2/bias" not in found
  assert not [n for n in found if "decoder/blocks/layer1/" in n]  # 1u4


def test_a_block_is_its_input_where_its_last_map_is_zero(normal):
  block = block_vae.Block()
  x = normal(2, 4, 4, 6)
  params = block.init(jax.random.key(0), x)["params"]
  again = {**params, "c4": jax.tree.map(np.zeros_like, params["c4"])}
  np.testing.assert_array_equal(block.apply({"params": again}, x), x)
  moved = np.asarray(block.apply({"params": params}, x)) - x
  assert np.abs(moved).max() > 1e-3


def test_biases_start_at_zero():
  params = trees.named(jax.jit(NET.init)(jax.random.key(0)))
  biases = [x for name, x in params.items() if name.endswith("bias")]
  assert biases and not any(np.asarray(b).any() for b in biases)


def test_a_code_of_either_shape_gives_an_image_between_0_and_1(normal):
  params = jax.jit(NET.init)(jax.random.key(0))
  moments = jax.jit(NET.moments)(params, normal(3, 8, 8, 2))
  assert moments.shape == (3, 1, 1, 12)
  z = normal(3, 6)
  made = np.asarray(jax.jit(NET.decode)(params, z))
  np.testing.assert_array_equal(
    made, jax.jit(NET.decode)(params, z[:, None, None])
  )
  assert made.shape == (3, 8, 8, 2) and (made > 0).all() and (made < 1).all()


def test_means_and_repetitions_are_over_places(normal):
  """Transitions without blocks are linear: the order of both can be seen."""
  layers = block_vae.Layers("1u4", ((1, 3),))
  y = layers.apply({}, normal(2, 1, 1, 3))
  np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1], y.shape))
  assert y.shape == (2, 4, 4, 3)


@pytest.mark.parametrize(
  "change, said",
  [
    (dict(encoder="8,8d2,8t4,4"), "to 4, dims.decoder from 1"),
    (dict(decoder="1,1u4,1t4,4"), "to 4: from the image's side"),
    (dict(decoder_widths="8:8,4:12,1:7"), "of 6 channels, .* reads 7"),
    (dict(encoder="8,4d4"), "dims.encoder: a layer of side 4 at side 8"),
  ],
)
def test_strings_that_do_not_meet_are_named(change, said):
  with pytest.raises(ValueError, match=said):
    dataclasses.replace(DIMS, **change).check(8)
  DIMS.check(8)
