"""Changes of layout: each against its definition, and there and back."""

import numpy as np
import pytest

from jmim.convert import ops

RNG = np.random.default_rng(0)
P, C, D, F, H = 2, 3, 5, 4, 2
SHAPES = {  # op, shape of theirs, shape of ours
  "linear": (ops.LINEAR, (D, C), (C, D)),
  "one of": (ops.ONE_OF, (D, C), (1, C, D)),
  "vector": (ops.VECTOR, (D,), (1, 1, D)),
  "matrix": (ops.MATRIX, (C, D), (1, C, D)),
  "conv": (ops.CONV, (D, C, 3, 4), (3, 4, C, D)),
  "point": (ops.POINT, (D, C, 1, 1), (C, D)),
  "point1d": (ops.POINT1D, (D, C, 1), (C, D)),
  "heads": (ops.HEADS, (H, 1, 1), (H,)),
  "one of many": (ops.one_of(ops.CONV), (D, C, 3, 4), (1, 3, 4, C, D)),
  "patch": (ops.patch_conv(P), (D, C, P, P), (P * P * C, D)),
  "tubelet": (ops.tubelet_conv(F, P), (D, C, F, P, P), (F * P * P * C, D)),
  "flax patch": (ops.flax_patch_conv(P), (P, P, C, D), (P * P * C, D)),
  "heads in": (ops.flax_heads(H)[0], (D, H, C), (D, H * C)),
  "stacked heads in": (ops.flax_heads(H)[0], (3, D, H, C), (3, D, H * C)),
  "heads out": (ops.flax_heads(H)[1], (H, C, D), (H * C, D)),
  "stacked out": (ops.flax_heads(H)[1], (3, H, C, D), (3, H * C, D)),
  "shuffle": (ops.pixel_shuffle(P)[0], (C * P * P, D, 1, 1), (D, P * P * C)),
  "shuffle bias": (ops.pixel_shuffle(P)[1], (C * P * P,), (P * P * C,)),
}


@pytest.mark.parametrize("case", SHAPES)
def test_there_and_back(case):
  op, theirs, ours = SHAPES[case]
  x = RNG.normal(size=theirs)
  y = op.to_ours(x)
  assert y.shape == ours
  assert np.array_equal(np.sort(y, axis=None), np.sort(x, axis=None))
  np.testing.assert_array_equal(op.to_theirs(y), x)


def test_linear_maps_compute_the_same():
  x, w = RNG.normal(size=(7, C)), RNG.normal(size=(D, C))
  want = np.einsum("oi,bi->bo", w, x)
  np.testing.assert_allclose(x @ ops.LINEAR.to_ours(w), want)
  np.testing.assert_allclose(x @ ops.POINT.to_ours(w[..., None, None]), want)
  np.testing.assert_allclose(x @ ops.POINT1D.to_ours(w[..., None]), want)


def test_patches_compute_what_the_convolution_does():
  image = RNG.normal(size=(P, P, C))  # one patch, channels last
  w = RNG.normal(size=(D, C, P, P))
  want = np.einsum("dcpq,pqc->d", w, image)
  got = image.ravel() @ ops.patch_conv(P).to_ours(w)
  np.testing.assert_allclose(got, want)
  flax = np.einsum("dcpq->pqcd", w)
  got = image.ravel() @ ops.flax_patch_conv(P).to_ours(flax)
  np.testing.assert_allclose(got, want)


def test_tubelets_compute_what_the_convolution_does():
  clip = RNG.normal(size=(F, P, P, C))
  w = RNG.normal(size=(D, C, F, P, P))
  want = np.einsum("dcfpq,fpqc->d", w, clip)
  got = clip.ravel() @ ops.tubelet_conv(F, P).to_ours(w)
  np.testing.assert_allclose(got, want)


def test_pixels_are_shuffled_as_torch_does():
  """PixelShuffle: channel (c p q) of a token is pixel (p, q) of channel c."""
  x = RNG.normal(size=D)
  w, b = RNG.normal(size=(C * P * P, D, 1, 1)), RNG.normal(size=C * P * P)
  want = (w[:, :, 0, 0] @ x + b).reshape(C, P, P)
  kernel, bias = ops.pixel_shuffle(P)
  got = x @ kernel.to_ours(w) + bias.to_ours(b)
  np.testing.assert_allclose(np.moveaxis(got.reshape(P, P, C), -1, 0), want)


def test_heads_compute_what_flax_does():
  inner, outer = ops.flax_heads(H)
  x = RNG.normal(size=D)
  w, back = RNG.normal(size=(D, H, C)), RNG.normal(size=(H, C, D))
  want = np.einsum("hc,hcd->d", np.einsum("d,dhc->hc", x, w), back)
  got = x @ inner.to_ours(w) @ outer.to_ours(back)
  np.testing.assert_allclose(got, want)
