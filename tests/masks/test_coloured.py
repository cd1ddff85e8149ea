"""Coloured noise: the identities and the spectrum of ColorMAE's card."""

import functools

import cv2
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.masks import coloured as noise
from jmim.masks import tokens as masking

M, G = 32, 14


@pytest.fixture(scope="module")
def white():
  return jnp.asarray(np.random.default_rng(0).random((3, M, M), np.float32))


def test_colours_add_up_to_white(white):
  make = functools.partial(noise.filtered, white)
  red = noise.transfer("red", M, red=1.2)
  blue = noise.transfer("blue", M, blue=1.2)
  np.testing.assert_allclose(make(red) + make(blue), white, atol=1e-5)
  pair = (noise.transfer(c, M) for c in ("green", "purple"))
  np.testing.assert_allclose(sum(make(h) for h in pair), white, atol=1e-5)


def test_the_blur_is_the_periodic_convolution_with_the_kernel(white):
  x = np.arange(-6, 7)  # int(4 * 1.5 + 0.5) = 6
  kernel = np.exp(-0.5 * (x / 1.5) ** 2)
  kernel /= kernel.sum()
  expected = np.asarray(white, np.float64)
  for axis in (1, 2):
    expected = sum(
      k * np.roll(expected, i, axis) for i, k in zip(x, kernel, strict=True)
    )
  blurred = noise.filtered(white, noise.transfer("red", M, red=1.5))
  np.testing.assert_allclose(blurred, expected, atol=1e-5)


def test_extreme_widths(white):
  same = noise.filtered(white, noise.transfer("red", M, red=0.0))
  np.testing.assert_allclose(same, white, atol=1e-5)
  centred = noise.filtered(white, noise.transfer("blue", M, blue=60.0))
  mean = white.mean((1, 2), keepdims=True)
  np.testing.assert_allclose(centred, white - mean, atol=1e-4)


def test_filters_move_with_a_roll(white):
  h = noise.transfer("green", M)
  moved = noise.filtered(jnp.roll(white, (3, 5), (1, 2)), h)
  np.testing.assert_allclose(
    moved, jnp.roll(noise.filtered(white, h), (3, 5), (1, 2)), atol=1e-5
  )


@pytest.mark.parametrize("passes", [1, 3])
def test_patterns_fill_0_to_1_and_passes_sharpen_the_band(white, passes):
  x = np.asarray(noise.coloured(white, noise.transfer("green", M), passes))
  np.testing.assert_allclose([x.min(), x.max()], [0, 1], atol=1e-6)
  power = np.abs(np.fft.fft2(x - x.mean((1, 2), keepdims=True))) ** 2
  f = np.hypot(*np.meshgrid(np.fft.fftfreq(M), np.fft.fftfreq(M)))
  band = power[:, (f > 0.1) & (f < 0.35)].sum() / power.sum()
  assert band > (0.7 if passes == 1 else 0.85)


def test_window_crops_and_flips(white):
  plain = np.asarray(white)[:, 2 : 2 + G, 7 : 7 + G]
  for mirror, upside_down in np.ndindex(2, 2):
    crop = jnp.asarray([2, 7, mirror, upside_down])
    expected = plain[:, ::-1] if upside_down else plain
    expected = expected[:, :, ::-1] if mirror else expected
    np.testing.assert_array_equal(noise.window(white, crop, G), expected)


@functools.cache
def masks(colour, n=600):
  rng = np.random.default_rng(1)
  noises = jnp.asarray(rng.random((n, 64, 64), np.float32))
  x = jax.jit(noise.filtered)(noises, noise.transfer(colour, 64))
  scores = -noise.window(x, jnp.zeros(4, int), G).reshape(n, -1)
  return np.asarray(masking.from_scores(scores, 49).mask).reshape(n, G, G)


@pytest.mark.parametrize(
  "colour, shares, distance",
  [
    ("white", (0.061, 0.286, 0.652), 1.24),
    ("red", (0.47, 0.36, 0.17), 2.50),
    ("blue", (0.035, 0.242, 0.723), 1.17),
    ("green", (0.124, 0.523, 0.353), 1.47),
    ("purple", (0.048, 0.223, 0.729), 1.19),
  ],
)
def test_spectrum_and_clumping_of_the_masks(colour, shares, distance):
  """Claim A of the card, with its tolerances."""
  drawn = masks(colour)
  assert (drawn.sum((1, 2)) == G * G - 49).all()
  power = np.abs(np.fft.fft2(drawn - drawn.mean((1, 2), keepdims=True))) ** 2
  f = np.hypot(*np.meshgrid(np.fft.fftfreq(G), np.fft.fftfreq(G)))
  edges = [(f > 0) & (f < 0.15), (f >= 0.15) & (f < 0.35), f >= 0.35]
  total = power.sum()
  for band, share in zip(edges, shares, strict=True):
    assert abs(power[:, band].sum() / total - share) < 0.02
  distances = [
    cv2.distanceTransform(m.astype(np.uint8), cv2.DIST_L2, 5)[m == 1]
    for m in drawn
  ]
  assert abs(np.concatenate(distances).mean() - distance) < 0.05
