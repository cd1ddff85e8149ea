"""ST-VAE: blocks counted from the end, norms with maps of the latents."""

import kit

NAME, METHOD = "lavin_stvae", "video.autoencoder3d"
DIMS = dict(variant="adaptive-f2x4", width=4, multipliers=(1, 2, 2))


def test_names_and_arrays():
  written = kit.check(NAME, kit.tiny(METHOD, frames=5, dims=DIMS))
  theirs = written.theirs
  # The decoder counts its blocks from the coarsest.
  first = theirs["decoder.up_blocks.0.resnets.0.conv1.conv.weight"]
  last = theirs["decoder.up_blocks.2.resnets.1.conv2.conv.weight"]
  assert first.shape[0] == 8 and last.shape[0] == 4
  assert "decoder.up_blocks.2.resnets.0.conv_shortcut.weight" in theirs
  assert "decoder.up_blocks.1.upsamplers.0.conv.weight" in theirs
  assert "decoder.up_blocks.2.upsamplers.0.conv.weight" not in theirs
  ours = written.ours["params/autoencoder/decoder/norm_out/scale/kernel"]
  given = theirs["decoder.norm_out.conv_y.conv.weight"]
  assert (given[:, :, 0, 0, 0].T == ours).all()
  assert "encoder.norm_out.conv_y.conv.weight" not in theirs


def test_another_layout_is_refused():
  family = kit.families.find(NAME)
  assert "'deep'" in family.objection(METHOD, kit.tiny(METHOD))
