import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import runtime
from jmim.methods.parts import latent_channels
from jmim.nn import liif
from jmim.nn.nets import stages

ABOUT = dict(by_frame=False, width=4, blocks=1, codes=0)
ABOUT |= dict(implicit=liif.Dims(hidden=()), rt=runtime.Runtime())
STAGE, FOLDED = (stages.build(name, **ABOUT) for name in ("kl-f4", "fold2"))
NET = STAGE.net
Z = np.random.default_rng(0).normal(size=(2, 3, 3, 2)).astype(np.float32)


def test_what_is_measured_becomes_mean_0_and_deviation_1_and_back():
  mean, std = Z.mean((0, 1, 2)), Z.std((0, 1, 2), ddof=1)
  known = {latent_channels.NAME: {"mean": mean, "std": std}}
  weights = methods.Weights({}, {}, known)
  made = latent_channels.normalised(weights, Z, 0.0)
  np.testing.assert_allclose(made.mean((0, 1, 2)), 0, atol=1e-6)
  np.testing.assert_allclose(made.std((0, 1, 2), ddof=1), 1, rtol=1e-5)
  back = latent_channels.restored(weights, made, 0.0)
  np.testing.assert_allclose(back, Z, rtol=1e-5, atol=1e-6)


def test_the_shift_is_taken_off_what_is_normalised():
  known = {"mean": np.float32([1, -2]), "std": np.float32([2, 0.1])}
  for consts in ({}, {latent_channels.NAME: known}):
    weights = methods.Weights({}, {}, consts)
    made = latent_channels.normalised(weights, Z, 0.3)
    wanted = (Z - known["mean"]) / known["std"] if consts else Z
    np.testing.assert_allclose(made, wanted - 0.3, rtol=1e-5, atol=1e-6)
    back = latent_channels.restored(weights, made, 0.3)
    np.testing.assert_allclose(back, Z, rtol=1e-5, atol=1e-6)


def test_without_statistics_nothing_changes():
  nothing = methods.Weights({})
  assert latent_channels.normalised(nothing, Z, 0.0) is Z
  assert latent_channels.restored(nothing, Z, 0.0) is Z
  assert latent_channels.consts("", NET) == {}
  # What stands for a file in dry runs changes nothing either.
  (const,) = latent_channels.consts("S", NET).values()
  neutral = {latent_channels.NAME: const.init(jax.random.key(0))}
  z = Z[..., :1].repeat(3, -1)
  made = latent_channels.normalised(methods.Weights({}, {}, neutral), z, 0.0)
  np.testing.assert_array_equal(made, z)


def test_images_have_none():
  latent_channels.check("", 0.0, FOLDED)
  latent_channels.check("S", 0.5, STAGE)
  with pytest.raises(ValueError, match="first_stage.shift=0.5"):
    latent_channels.check("", 0.5, FOLDED)
  with pytest.raises(ValueError, match="statistics='S' with .*'fold2'"):
    latent_channels.check("S", 0.0, FOLDED)


def test_moments_are_read_or_made_and_carry_no_gradient(fill):
  params = fill(NET, scale=0.2)
  weights = methods.Weights({}, {}, {"first_stage": params})
  stored = np.float16(Z)
  found = latent_channels.moments(
    STAGE, "moments", weights, {"moments": stored}
  )
  assert found.dtype == np.float32
  np.testing.assert_array_equal(found, stored.astype(np.float32))
  x = np.random.default_rng(1).normal(size=(1, 8, 8, 3)).astype(np.float32)

  @jax.jit
  def both(params, x):
    weights = methods.Weights({}, {}, {"first_stage": params})
    made = latent_channels.moments(STAGE, "images", weights, {"image": x})
    return made, NET.encode(params, x)[0]

  np.testing.assert_allclose(*both(params, x), rtol=1e-5, atol=1e-6)
  grad = jax.grad(lambda x: both(params, x)[0].sum())(x)
  assert not np.any(grad)


def test_moments_of_clips_are_those_of_their_frames(fill):
  weights = methods.Weights({}, {}, {"first_stage": fill(NET, scale=0.2)})
  clips = np.random.default_rng(2).normal(size=(2, 3, 8, 8, 3)).astype("f4")
  read = jax.jit(
    lambda batch: latent_channels.moments(STAGE, "images", weights, batch)
  )
  found, frames = read({"video": clips}), read({"image": clips[:, 1]})
  np.testing.assert_allclose(found[:, 1], frames, rtol=1e-5, atol=1e-6)
