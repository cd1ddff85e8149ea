import dataclasses

import cv2
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st

from jmim.core import method as methods
from jmim.core import runtime
from jmim.masks import tokens as masking
from jmim.methods.mim import mae

_N = 12
_SEEDS = st.integers(0, 2**31)
_KEEPS = st.sampled_from([0, 3, _N])
_few = hypothesis.settings(max_examples=20, deadline=None)

_split = jax.jit(masking.from_scores, static_argnames="keep")
_from_ids = jax.jit(masking.from_ids, static_argnames="n")
_from_booleans = jax.jit(masking.from_booleans, static_argnames="keep")
_take = jax.jit(masking.take)
_restore = jax.jit(masking.restore)


def _numpy(split):
  return masking.Mask(*map(np.asarray, split))


def _equal(a, b):
  for name, x, y in zip(a._fields, a, b, strict=True):
    np.testing.assert_array_equal(x, y, err_msg=name)


@pytest.mark.parametrize(
  ("n", "ratio", "keep"),
  [
    (100, 0.9, 9),
    (196, 0.75, 49),
    (196, 0.95, 9),
    (196, 0.98, 3),
    (196, 0.985, 2),
    (196, 0.6, 78),
    (256, 0.75, 64),
    (50, 0.8, 9),
    (10, 0.9, 0),
    (10, 0.7, 3),
    (7, 0.0, 7),
    (7, 1.0, 0),
  ],
)
def test_keep_count_rounds_as_the_released_code(n, ratio, keep):
  assert masking.keep_count(n, ratio) == keep


@hypothesis.given(st.integers(1, 5000), st.floats(0, 1))
def test_keep_count_is_the_floor_in_double_arithmetic(n, ratio):
  keep = masking.keep_count(n, ratio)
  assert isinstance(keep, int)
  assert keep == int(n * (1 - ratio))
  assert 0 <= keep <= n * (1 - ratio) < keep + 1


@hypothesis.given(_SEEDS, _KEEPS)
@_few
def test_the_smallest_scores_are_kept_in_ascending_order(seed, keep):
  scores = np.random.default_rng(seed).random((3, _N), np.float32)
  split = _numpy(_split(scores, keep=keep))
  order = np.argsort(scores, axis=1, kind="stable")
  np.testing.assert_array_equal(split.keep, order[:, :keep])
  np.testing.assert_array_equal(split.mask.sum(1), [_N - keep] * 3)
  for ids, mask in zip(np.asarray(split.keep), split.mask, strict=True):
    assert set(ids) == set(np.flatnonzero(mask == 0))
  np.testing.assert_array_equal(np.sort(split.restore), [range(_N)] * 3)


@hypothesis.given(_SEEDS, _KEEPS)
@_few
def test_gather_then_restore_is_the_identity(seed, keep):
  rng = np.random.default_rng(seed)
  x = rng.normal(size=(3, _N, 2)).astype(np.float32)
  split = _numpy(_split(rng.random((3, _N)), keep=keep))
  kept = _take(x, split.keep)
  found = _restore(kept, np.full((1, 1, 2), 7.0), split)
  wanted = np.where(split.mask[..., None] == 1, 7.0, x)
  np.testing.assert_array_equal(found, wanted)


def test_restore_puts_per_token_fill_in_the_order_of_the_shuffle():
  split = _split(np.array([[0.5, 0.1, 0.9, 0.3]]), keep=2)
  kept, rest = np.array([[[1.0], [3.0]]]), np.array([[[0.0], [2.0]]])
  found = _restore(kept, rest, split)
  np.testing.assert_array_equal(found[0, :, 0], [0, 1, 2, 3])


def test_restore_keeps_the_dtype_of_the_kept_tokens():
  split = _split(np.arange(4.0)[None], keep=2)
  kept, fill = np.ones((1, 2, 3), jnp.bfloat16), np.ones((1, 1, 3))
  assert masking.restore(kept, fill, split).dtype == jnp.bfloat16


def test_equal_scores_keep_raster_order():
  split = _split(np.zeros((1, 5)), keep=3)
  np.testing.assert_array_equal(split.keep, [[0, 1, 2]])
  np.testing.assert_array_equal(split.restore, [range(5)])


@hypothesis.given(_SEEDS, _KEEPS)
@_few
def test_ids_give_the_mask_that_the_scores_gave(seed, keep):
  scores = np.random.default_rng(seed).random((3, _N), np.float32)
  split = _numpy(_split(scores, keep=keep))
  found = _numpy(_from_ids(split.keep, n=_N))
  np.testing.assert_array_equal(found.keep, split.keep)
  np.testing.assert_array_equal(found.mask, split.mask)
  # The same scores, but for the hidden tokens: those are in raster order.
  ranks = np.where(split.mask == 0, split.restore, _N)
  _equal(found, _split(ranks, keep=keep))


@hypothesis.given(_SEEDS, _KEEPS)
@_few
def test_booleans_give_the_mask_of_the_sorted_ids(seed, keep):
  scores = np.random.default_rng(seed).random((3, _N), np.float32)
  split = _numpy(_split(scores, keep=keep))
  found = _from_booleans(split.mask == 1, keep=keep)
  _equal(found, _from_ids(np.sort(split.keep, axis=1), n=_N))


def test_booleans_of_another_count_are_made_to_fit():
  masked = np.array([[1, 0, 0, 0, 1], [1, 1, 0, 1, 1]], bool)
  found = _from_booleans(masked, keep=2)
  np.testing.assert_array_equal(found.keep, [[1, 2], [2, 0]])
  np.testing.assert_array_equal(found.mask, [[1, 0, 0, 1, 1], [0, 1, 0, 1, 1]])


@pytest.mark.parametrize(
  "size, square, patch, hidden", [(192, 32, 4, 22), (224, 32, 16, 30)]
)
def test_the_mask_has_whole_squares_and_exactly_the_ceiling(
  size, square, patch, hidden
):
  scores = jax.random.uniform(
    jax.random.key(0), (5, size // square, size // square)
  )
  mask = masking.squares(scores, 0.6, (size // patch,) * 2)
  per = square // patch
  cells = np.asarray(mask).reshape(5, size // square, per, size // square, per)
  assert (cells == cells[:, :, :1, :, :1]).all()
  assert (cells[:, :, 0, :, 0].sum((1, 2)) == hidden).all()


@pytest.mark.parametrize(
  "size, square, mean",
  [
    (192, 32, 15.2),
    (192, 16, 7.2),
    (192, 8, 3.7),
    (192, 4, 2.1),
    (192, 64, 36.2),
    (32, 8, 4.6),
  ],
)
def test_average_distance_to_the_nearest_visible_pixel(size, square, mean):
  rng, side = np.random.default_rng(0), size // square
  scores = jnp.asarray(rng.random((200, side, side), np.float32))
  masks = np.asarray(masking.squares(scores, 0.6, (size, size)), np.uint8)
  distance = [cv2.distanceTransform(m, cv2.DIST_L2, 5)[m == 1] for m in masks]
  assert abs(np.concatenate(distance).mean() - mean) < max(0.3, 0.03 * mean)


def test_masked_mean_counts_masked_values_over_the_whole_batch():
  values = np.array([[1.0, 2.0, 30.0], [4.0, 5.0, 6.0]])
  mask = np.array([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
  assert masking.masked_mean(values, mask) == (1 + 2 + 6) / 3


def test_masked_mean_of_nothing_is_zero_with_zero_gradient():
  mean, gradient = jax.value_and_grad(masking.masked_mean)(
    np.ones((2, 3)), np.zeros((2, 3))
  )
  assert mean == 0
  np.testing.assert_array_equal(gradient, np.zeros((2, 3)))


def test_filling_up():
  x = jnp.ones((2, 5, 3))
  same, seen = masking.fill_up(x, None, 5)
  assert same is x and seen is None
  more, seen = masking.fill_up(x, None, 4)
  assert more.shape == (2, 8, 3) and not np.any(more[:, 5:])
  np.testing.assert_array_equal(seen, [[True] * 5 + [False] * 3] * 2)
  known = jnp.array([[True, False, True, True, True]] * 2)
  _, seen = masking.fill_up(x, known, 4)
  np.testing.assert_array_equal(seen[:, :5], known)


def test_tokens_filled_up_change_no_loss():
  method = mae.MAE.tiny()
  rng = np.random.default_rng(0)
  batch = {"image": rng.normal(size=(2, 16, 16, 3)).astype(np.float32)}
  params, _ = jax.jit(method.init)(jax.random.key(0), batch)
  draws = method.drawn(jax.random.key(1), batch)

  def loss(pad):
    padded = dataclasses.replace(method, rt=runtime.Runtime(pad_tokens=pad))
    of = lambda p: padded.loss(methods.Weights(p), batch, draws, 0)[0]
    return jax.value_and_grad(of), str(jax.make_jaxpr(of)(params))

  plain, text = loss(1)
  padded, padded_text = loss(8)
  # 4 kept patches and a class token fill up to 8, 17 of the decoder to 24.
  assert "f32[2,8,32]" in padded_text and "f32[2,24,16]" in padded_text
  assert "f32[2,8,32]" not in text
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
    jax.jit(padded)(params),
    jax.jit(plain)(params),
  )


def test_means_of_rows_are_their_own(normal):
  x, mask = normal(3, 2, 4), np.ones((3, 1, 4))
  mask[1, :, :3], mask[2] = 0, 0
  found = masking.row_means(x, mask)
  want = [x[0].mean(), x[1, :, 3].mean(), 0]
  np.testing.assert_allclose(found, want, rtol=1e-6)
