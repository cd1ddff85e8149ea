import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import vision_alignment as parts

PLAIN = parts.VisionAlignment(cosine_margin=0.0, pairs_margin=0.0)
RNG = np.random.default_rng(0)
F = RNG.normal(size=(2, 6, 5)).astype(np.float32)
Z = RNG.normal(size=(2, 6, 5)).astype(np.float32)


@pytest.mark.parametrize("margins", [(0.0, 0.0), (0.5, 0.25), (0.0, 1.0)])
def test_latents_that_point_as_the_features_cost_nothing(margins):
  cosine, pairs = margins
  part = parts.VisionAlignment(cosine_margin=cosine, pairs_margin=pairs)
  for c in (1e-3, 1.0, 70.0):
    np.testing.assert_allclose(part.loss(c * F, F), 0, atol=1e-6)
  assert part.loss(-F, F) > 1


def test_the_loss_is_that_of_the_definition():
  part = parts.VisionAlignment(
    cosine_margin=0.3, pairs_margin=0.1, cosine_weight=2.0, pairs_weight=0.7
  )
  angle = lambda a, b: a @ b / np.sqrt((a @ a) * (b @ b))
  near, far = [], []
  for z, f in zip(Z, F, strict=True):
    for i in range(6):
      near.append(max(0, 0.7 - angle(z[i], f[i])))
      for k in range(6):
        gap = abs(angle(z[i], z[k]) - angle(f[i], f[k]))
        far.append(max(0, gap - 0.1))
  wanted = 2.0 * np.mean(near) + 0.7 * np.mean(far)
  np.testing.assert_allclose(part.loss(Z, F), wanted, rtol=1e-5)


def test_there_is_no_gradient_inside_the_margins():
  near = F + 0.01 * Z
  inside = parts.VisionAlignment(cosine_margin=0.1, pairs_margin=0.1)
  assert jax.grad(inside.loss)(near, F).any() == False  # noqa: E712
  assert jnp.abs(jax.grad(PLAIN.loss)(near, F)).max() > 1e-5


@pytest.mark.parametrize("maps, shape", [("latents", (4, 5)), ("features", 5)])
def test_either_side_is_mapped(maps, shape):
  part, z = dataclasses.replace(PLAIN, maps=maps), RNG.normal(size=(2, 2, 3, 4))
  params = part.init(jax.random.key(0), 4, 5)
  ours, theirs = part.pair(params, z, F)
  kernel = np.asarray(params["kernel"])
  if maps == "latents":
    assert kernel.shape == shape and "bias" not in params
    np.testing.assert_allclose(ours, z.reshape(2, 6, 4) @ kernel, rtol=1e-5)
    np.testing.assert_array_equal(theirs, F)
  else:
    assert kernel.shape == (5, 4) and params["bias"].shape == (4,)
    np.testing.assert_allclose(theirs, F @ kernel, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(ours, z.reshape(2, 6, 4))


def test_the_weight_is_the_ratio_of_the_norms_or_a_number():
  nll, loss = np.full((3, 4), 2.0), np.full(9, 1.0)
  ratio = np.sqrt(48.0) / (3.0 + 1e-4)
  np.testing.assert_allclose(PLAIN.scale(nll, loss), 0.1 * ratio, rtol=1e-6)
  fixed = dataclasses.replace(PLAIN, adaptive=False, weight=0.3)
  np.testing.assert_allclose(fixed.scale(nll, loss), 0.3)
  # Nothing to balance: finite, and times a loss of 0.
  assert PLAIN.scale(1e9 * nll, 0 * loss) == np.float32(1e8) * np.float32(0.1)
