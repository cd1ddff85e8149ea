"""Step-Video's autoencoder: wrapped convolutions, resampling of both kinds."""

import kit
import numpy as np
import pytest

NAME, METHOD = "step_video_vae", "video.autoencoder3d"
DEEP = dict(
  variant="deep-f8x16",
  width=4,
  multipliers=(1, 2, 2, 2),
  code=2,
  blocks=1,
  norm_groups=1,
)


@pytest.mark.parametrize("variant", ["deep-f8x16", "deep-f4x8"])
def test_names_and_arrays(variant):
  dims = DEEP | {"variant": variant}
  written = kit.check(NAME, kit.tiny(METHOD, size=16, frames=17, dims=dims))
  names = set(written.theirs)
  dual = "decoder.conv_unpatchify.conv.conv.weight" in names
  assert dual == (variant == "deep-f8x16")
  # Levels that keep time are resampled by convolutions of frames, unwrapped.
  assert written.theirs["encoder.down.0.downsample.conv.weight"].ndim == 4
  assert written.theirs["encoder.down.1.downsample.conv.conv.weight"].ndim == 5
  assert "decoder.up.3.upsample.conv3d.norm2.weight" in names
  assert written.theirs["decoder.up.1.upsample.conv.weight"].ndim == 4
  # And a change of width has a map beside it.
  assert "encoder.down.1.block.0.nin_shortcut.conv.weight" in names


def test_the_last_convolution_is_spelt_in_two_ways():
  written = kit.export(NAME, kit.tiny(METHOD))
  theirs = {
    n.replace("decoder.conv_out.conv.", "decoder.conv_out."): x
    for n, x in written.theirs.items()
    if not n.startswith("loss.")
  }
  assert "decoder.conv_out.weight" in theirs
  made, leaves = kit.load(written, theirs)
  assert {n.split("/")[1] for n in made.fresh} == {"discriminator"}
  kernel = leaves["params/autoencoder/last/kernel"]
  np.testing.assert_array_equal(
    kernel, np.moveaxis(theirs["decoder.conv_out.weight"], (0, 1), (4, 3))
  )


def test_another_layout_is_refused():
  other = kit.tiny(METHOD, frames=5, dims=dict(variant="adaptive-f2x4"))
  family = kit.families.find(NAME)
  assert "'adaptive'" in family.objection(METHOD, other)
