import jax
import numpy as np

from jmim.nn import fourier


def test_parts_of_the_spectrum_are_changed_apart(fill, normal):
  """With layers that pass everything on, the map comes back."""
  x = normal(2, 6, 5, 2)
  net = fourier.Spectrum(width=2, side=1)
  shapes = fill(net, x)["params"]
  passing = jax.tree.map(np.zeros_like, shapes)
  for part in passing.values():
    # Leaky rectifiers of slope 0.1: what is negative needs ten times as much.
    part["conv1"]["bias"][:] = 1e3
    part["conv1"]["kernel"][:] = part["conv2"]["kernel"][:] = np.eye(2)
    part["conv2"]["bias"][:] = -1e3
  run = jax.jit(net.apply)
  np.testing.assert_allclose(run({"params": passing}, x), x, atol=1e-4)
  # Twice the real part: the even half of the map is doubled.
  passing["real"]["conv2"]["kernel"][:] *= 2
  passing["real"]["conv2"]["bias"][:] *= 2
  turned = np.roll(x[:, ::-1, ::-1], (1, 1), (1, 2))
  even = (x + turned) / 2
  np.testing.assert_allclose(run({"params": passing}, x), x + even, atol=5e-4)


def test_kernels_over_frequencies_do_not_mix_channels(fill, normal):
  x = normal(1, 6, 6, 3)
  net = fourier.Spectrum(width=3, side=3)
  variables = fill(net, x)
  run = jax.jit(net.apply)
  other = x.copy()
  other[..., 2] += 1.0
  moved = np.abs(run(variables, other) - run(variables, x)).max((0, 1, 2))
  assert moved[2] > 0.1
  np.testing.assert_allclose(moved[:2], 0, atol=1e-6)
