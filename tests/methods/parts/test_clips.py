import jax
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.methods.parts import clips
from jmim.nn.nets import video_codec
from jmim.nn.nets import video_sizes

SIZE = video_sizes.size("deep-f4x4", width=4, code=2)
NET = video_codec.VideoCodec(size=SIZE)


def learning(trains):
  """Layers of the autoencoder that no group freezes."""
  params = {"autoencoder": jax.eval_shape(NET.init, jax.random.key(0))}
  patterns = [g.pattern for g in clips.frozen(trains)]
  names = [n.rpartition("/")[0] for n in trees.named(params)]
  return {
    n.removeprefix("autoencoder/")
    for n in names
    if not any(trees.matches(p, f"{n}/kernel") for p in patterns)
  }


def test_layers_thaw_from_the_dual_paths_outwards():
  dual, middle, everything = map(learning, ("dual", "middle", "all"))
  assert dual == {
    "encoder/conv_patchify",
    "encoder/conv_out",
    "decoder/conv_in",
    "decoder/conv_unpatchify",
  }
  more = {n.split("/")[1] for n in middle - dual}
  assert dual < middle < everything
  assert more == {"middle_0", "middle_1", "middle_attention"}
  assert {"last", "encoder/conv_in"} <= everything - middle


def test_the_critic_always_learns():
  (group,) = clips.frozen("dual")
  assert not trees.matches(group.pattern, "discriminator/conv0/kernel")


def test_stages_and_lengths_that_do_not_exist_are_refused():
  plain = video_sizes.size("deep-f2x2")
  with pytest.raises(ValueError, match="no dual paths"):
    clips.check_trained(plain, "middle")
  clips.check_trained(plain, "all")
  with pytest.raises(ValueError, match="one chunk, or several"):
    clips.check(SIZE, 8, frames=11)
  clips.check(SIZE, 8, frames=10)


def test_chunks_and_frames_are_batches_and_keep_their_order():
  net, x = clips.Frames(NET), np.arange(20.0).reshape(2, 10, 1)
  chunks = net.chunks(x, 5)
  np.testing.assert_array_equal(chunks[1], x[0, 5:])
  np.testing.assert_array_equal(net.frames(chunks), x.reshape(20, 1))
  assert net.chunks(x, 0) is x and net.chunks(x[:, :4], 5).shape == (2, 4, 1)
