"""VideoMAE V2: tubelets, no bias of k, cosine attention."""

import kit
import numpy as np
import pytest


@pytest.mark.parametrize(
  "fields", [{}, dict(layer_scale=0.1), dict(cosine=True)]
)
def test_names_and_arrays(fields):
  written = kit.check("videomae_v2", kit.tiny("video.videomae_v2", **fields))
  scales = [n for n in written.theirs if n.endswith("attn.scale")]
  assert bool(scales) == bool(fields.get("cosine"))
  assert bool([n for n in written.theirs if "gamma_1" in n]) == bool(
    fields.get("layer_scale")
  )


def test_a_tubelet_is_a_convolution_in_time_too():
  written = kit.export("videomae_v2", kit.tiny("video.videomae_v2"))
  conv = written.theirs["encoder.patch_embed.proj.weight"]  # [d, c, f, p, p]
  ours = written.ours["params/main/encoder/patch_embed/proj/kernel"]
  _, channels, frames, p, _ = conv.shape
  assert (channels, frames, p) == (3, 2, 4)
  f, row, column, c = 1, 2, 3, 0
  at = ((f * p + row) * p + column) * channels + c
  np.testing.assert_array_equal(conv[:, c, f, row, column], ours[at])


def test_what_joins_encoder_and_decoder_has_no_bias():
  written = kit.export("videomae_v2", kit.tiny("video.videomae_v2"))
  names = [n for n in written.theirs if n.startswith("encoder_to_decoder")]
  assert names == ["encoder_to_decoder.weight"]
