import jax
import numpy as np
import pytest

from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import video

SIZE = sizes.Size(width=8, depth=1, heads=2)
GRID, FRAMES, PATCH = (2, 2, 3), 2, 4


@pytest.fixture(scope="module")
def clips(normal):
  return normal(2, 4, 8, 12, 3)


def test_tubelets_are_frames_rows_columns_channels(clips):
  x = np.asarray(video.tubelets(clips, FRAMES, PATCH))
  assert x.shape == (2, 12, 96)
  t, h, w = 1, 0, 2  # the token of row 0, column 2 at the second step
  box = clips[1, 2:4, :4, 8:12]
  np.testing.assert_array_equal(x[1, (t * 2 + h) * 3 + w], box.ravel())


def test_a_clip_comes_back_from_its_tokens(clips):
  tokens = video.tubelets(clips, 1, PATCH)
  back = video.untubelets(tokens, PATCH, (4, 2, 3))
  np.testing.assert_array_equal(back, clips)


@pytest.mark.parametrize("widths", [(4, 2, 6), (0, 4, 2)])
def test_rotary_positions_are_those_of_each_token(widths):
  places = np.array(list(np.ndindex(4, 2, 3)))
  want = posemb.rotary_axes(places, widths, 50.0)
  found = video.rotary((4, 2, 3), widths, 50.0)
  np.testing.assert_array_equal(found, want[None])


def test_clips_that_do_not_split_are_named():
  with pytest.raises(ValueError, match=r"\(1, 3, 8, 8, 3\) not in 2x4x4"):
    video.tubelets(np.zeros((1, 3, 8, 8, 3)), 2, 4)


def test_positions_are_interleaved_sines_and_cosines():
  table = video.sinusoid(5, 6)
  for i, j in np.ndindex(5, 6):
    angle = i / 10000 ** (2 * (j // 2) / 6)
    expected = np.sin(angle) if j % 2 == 0 else np.cos(angle)
    np.testing.assert_allclose(table[i, j], expected, atol=1e-6)


def test_kept_tubelets_are_embedded_with_their_positions(fill, clips):
  net = video.Embed(width=8, frames=FRAMES, patch=PATCH)
  variables = fill(net, clips)
  whole = net.apply(variables, clips)
  p = variables["params"]["proj"]
  x = np.asarray(video.tubelets(clips, FRAMES, PATCH))
  expected = x @ p["kernel"] + p["bias"] + video.sinusoid(12, 8)
  np.testing.assert_allclose(whole, expected, atol=1e-5)
  keep = np.array([[3, 0], [11, 7]])
  kept = net.apply(variables, clips, keep)
  rows = np.stack([whole[b][keep[b]] for b in range(2)])
  np.testing.assert_allclose(kept, rows, atol=1e-5)


@pytest.mark.parametrize("cosine", [False, True])
def test_an_encoder_sees_the_kept_tubelets_only(fill, clips, cosine):
  net = video.Encoder(size=SIZE, frames=FRAMES, patch=PATCH, cosine=cosine)
  variables = fill(net, clips)
  run = jax.jit(net.apply)
  keep = np.array([[0, 5, 6], [1, 2, 11]])
  first = run(variables, clips, keep)
  order = np.array([2, 0, 1])
  moved = run(variables, clips, keep[:, order])
  np.testing.assert_allclose(moved, first[:, order], atol=1e-5)
  assert first.shape == (2, 3, 8)
  paths = jax.tree_util.tree_leaves_with_path(variables)
  names = [jax.tree_util.keystr(path) for path, _ in paths]
  assert any("logit_scale" in name for name in names) == cosine


def test_a_decoder_predicts_what_is_asked_for_in_its_order(fill, normal):
  net = video.Decoder(size=SIZE, grid=GRID, out=5)
  latent, keep = normal(2, 3, 6), np.array([[0, 5, 6], [1, 2, 11]])
  decode = np.array([[1, 0, 7, 8], [3, 1, 4, 10]])
  variables = fill(net, latent, keep, decode)
  run = jax.jit(net.apply)
  first = run(variables, latent, keep, decode)
  order = np.array([3, 1, 0, 2])
  moved = run(variables, latent, keep, decode[:, order])
  np.testing.assert_allclose(moved, first[:, order], atol=1e-5)
  # Visible tokens are a set, too.
  swapped = run(variables, latent[:, ::-1], keep[:, ::-1], decode)
  np.testing.assert_allclose(swapped, first, atol=1e-5)


def test_without_blocks_a_prediction_is_the_token_at_its_place(fill, normal):
  size = sizes.Size(width=8, depth=0, heads=2)
  net = video.Decoder(size=size, grid=GRID, out=5)
  latent, keep = normal(1, 2, 6), np.array([[0, 5]])
  decode = np.array([[1, 7, 8]])
  variables = fill(net, latent, keep, decode)
  p = variables["params"]
  x = p["mask_token"] + video.sinusoid(12, 8)[decode]
  x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
  x = x * p["norm"]["scale"] + p["norm"]["bias"]
  expected = x @ p["head"]["kernel"] + p["head"]["bias"]
  actual = net.apply(variables, latent, keep, decode)
  np.testing.assert_allclose(actual, expected, atol=1e-5)
