"""UMD in flax: stacked blocks, heads as an axis, a transposed convolution."""

import kit
import numpy as np
import pytest

from jmim.convert.tables import umd as tables


def arrays_of(method):
  """Random leaves whose last bias is equal over a patch, as theirs is."""
  arrays = kit.filled(kit.shapes(method))
  bias = arrays["params/main/pred/bias"].reshape(method.net.patch**2, -1)
  bias[:] = bias[0]
  return arrays


def check(name="diffusion.umd", **fields):
  method = kit.tiny(name, **fields)
  return kit.check("umd", method, arrays_of(method))


@pytest.mark.parametrize("fields", [{}, dict(adaln=False), dict(classes=0)])
def test_names_and_arrays(fields):
  written = check(**fields)
  names = " ".join(written.theirs)
  assert ("final_modulation" in names) == fields.get("adaln", True)
  assert ("label_emb" in names) == bool(fields.get("classes", 3))


def test_maskdit_has_the_same_names():
  assert check("diffusion.maskdit").theirs.keys() == check().theirs.keys()


def test_blocks_stay_stacked_and_heads_are_an_axis():
  written = check()
  block = f"Encoder/{tables.SCANNED}/MultiHeadDotProductAttention_0"
  ours = written.ours["params/main/encoder/layers/attn/qkv/kernel"]
  width, heads = 32, 4
  for i, name in enumerate(("query", "key", "value")):
    theirs = written.theirs[f"{block}/{name}/kernel"]  # [l, w, h, d]
    assert theirs.shape == (2, width, heads, width // heads)
    part = ours[..., i * width : (i + 1) * width]
    np.testing.assert_array_equal(theirs.reshape(part.shape), part)


def test_the_last_convolution_is_transposed_and_flipped():
  written = check()
  theirs = written.theirs["final_conv/kernel"]  # [p, p, d, c]
  ours = written.ours["params/main/pred/kernel"]
  p, _, _, c = theirs.shape
  row, column, channel = 1, 3, 4
  flipped = theirs[p - 1 - row, p - 1 - column, :, channel]
  at = (row * p + column) * c + channel
  np.testing.assert_array_equal(flipped, ours[:, at])


def test_the_bias_of_a_channel_is_the_mean_over_the_patch():
  op = tables.repeated(channels=2, patch=2)
  np.testing.assert_array_equal(
    op.to_ours(np.float32([1, 5])), [1, 5, 1, 5, 1, 5, 1, 5]
  )
  grads = np.arange(8, dtype=np.float32)
  np.testing.assert_array_equal(op.to_theirs(grads), [3, 4])
