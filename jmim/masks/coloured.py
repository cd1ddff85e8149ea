"""Coloured noise: white noise through Gaussian filters (ColorMAE).

    red = G * W      blue = W - G * W      (* periodic convolution)
    green = G1 * W - G2 * W      purple = W - green      white = W

A filter is its transfer function, so any colour is one multiplication
between two Fourier transforms.
"""

import jax
import jax.numpy as jnp
import numpy as np

COLOURS = ("white", "red", "blue", "green", "purple")


def gaussian(side: int, sigma: float) -> np.ndarray:
  """Transfer function of a Gaussian blur: [side, side // 2 + 1] float64.

  The kernel is cut off at a radius of int(4 sigma + 0.5), sums to 1 and
  wraps around the border. sigma 0: no blur.
  """
  radius = int(4 * sigma + 0.5)
  x = np.arange(-radius, radius + 1)
  kernel = np.exp(-0.5 * (x / sigma) ** 2) if radius else np.ones(1)
  line = np.zeros(side)
  np.add.at(line, x % side, kernel / kernel.sum())
  line = np.fft.fft(line).real  # symmetric kernel: real
  return line[:, None] * line[None, : side // 2 + 1]


def transfer(
  colour: str,
  side: int,
  red: float = 1.5,
  blue: float = 1.0,
  green: tuple[float, float] = (0.8, 2.0),
) -> np.ndarray:
  """[side, side // 2 + 1] float32 transfer function of a colour.

  Args:
    colour: one of COLOURS.
    side: of the patterns.
    red: sigma of red noise [patches].
    blue: sigma of blue noise [patches].
    green: weak and strong sigma of green and purple noise [patches].
  """
  band = gaussian(side, green[0]) - gaussian(side, green[1])
  one = np.ones_like(band)
  filters = {
    "white": one,
    "red": gaussian(side, red),
    "blue": one - gaussian(side, blue),
    "green": band,
    "purple": one - band,
  }
  return filters[colour].astype(np.float32)


def filtered(white: jax.Array, response: jax.Array) -> jax.Array:
  """[.., m, m] noise through a transfer function [m, m // 2 + 1]."""
  spectrum = jnp.fft.rfft2(white) * response
  return jnp.fft.irfft2(spectrum, s=white.shape[-2:])


def ranks(x: jax.Array) -> jax.Array:
  """[.., m, m] -> each value's rank in its pattern, scaled to [0, 1]."""
  flat = x.reshape(*x.shape[:-2], -1)
  order = jnp.argsort(jnp.argsort(flat, axis=-1), axis=-1)
  return (order / (flat.shape[-1] - 1)).reshape(x.shape)


def rescale(x: jax.Array) -> jax.Array:
  """[.., m, m] -> least 0 and greatest 1 in each pattern."""
  low = jnp.min(x, axis=(-2, -1), keepdims=True)
  high = jnp.max(x, axis=(-2, -1), keepdims=True)
  return (x - low) / (high - low)


def coloured(
  white: jax.Array, response: jax.Array, passes: int = 1
) -> jax.Array:
  """Patterns in [0, 1]: filtered `passes` times, by rank in between.

  Args:
    white: [.., m, m] uniform noise.
    response: [m, m // 2 + 1] transfer function, see `transfer`.
    passes: filterings; more than one sharpen the band.

  Returns:
    [.., m, m], least 0 and greatest 1 in each pattern.
  """
  x = filtered(white, response)
  for _ in range(passes - 1):
    x = filtered(ranks(x), response)
  return rescale(x)


def window(patterns: jax.Array, crop: jax.Array, side: int) -> jax.Array:
  """One crop and flip for all: [p, m, m] -> [p, side, side].

  Args:
    patterns: [p, m, m] noise.
    crop: [4] int: top, left, mirror left-right, mirror top-bottom.
    side: of the crop, at most m.
  """
  top, left, mirror, upside_down = (crop[i] for i in range(4))
  shape = (len(patterns), side, side)
  x = jax.lax.dynamic_slice(patterns, (0 * top, top, left), shape)
  x = jnp.where(mirror > 0, x[:, :, ::-1], x)
  return jnp.where(upside_down > 0, x[:, ::-1], x)
