import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import tree as trees
from jmim.data.procedural import casting
from jmim.methods.mim import mae
from jmim.methods.scene import nvist
from jmim.training import optim

TINY = nvist.NViST.tiny()
B, M = 2, TINY.members
PIXELS = TINY.sides[0] * TINY.sides[1]


def scenes(seed=0, count=B):
  rng = np.random.default_rng(seed)
  poses = np.stack([casting.arc(rng, M) for _ in range(count)])
  return {
    "image": rng.random((count, M, *TINY.sides, 3), np.float32),
    "view_pose": poses.astype("f4"),
    "view_focal": np.full((count, M), 1.1, "f4"),
  }


@pytest.fixture(name="given", scope="module")
def _given(fill):
  batch = scenes()
  params = fill(TINY, batch, scale=0.3)[0]
  key = jax.random.key(0)
  const = TINY.consts()["perceptual"].init(key)
  weights = methods.Weights(params, {}, {"perceptual": const})
  return weights, batch, TINY.drawn(jax.random.key(1), batch)


def test_the_loss_is_the_sum_of_its_parts(given):
  weights, batch, draws = given
  loss, aux = jax.jit(TINY.loss)(weights, batch, draws, 0)
  want = aux["mse"] + 0.1 * aux["lpips"] + 0.001 * aux["distortion"]
  np.testing.assert_allclose(loss, want, rtol=1e-5)
  assert all(aux[n] > 0 for n in ("mse", "lpips", "distortion"))


def test_rays_are_compared_with_the_pixels_they_go_through(given):
  """All pixels of all views, one after the other: the views as a whole."""
  weights, batch, draws = given
  m = field.replace(
    TINY, rays=dict(whole=False), perceptual=dict(network="none")
  )
  every = jnp.arange(M * PIXELS)[None].repeat(B, 0)
  draws = {"place": every, "jitter": jnp.zeros_like(draws["jitter"])}
  _, aux = jax.jit(m.loss)(weights, batch, draws, 0)
  seen = jax.jit(m.views)(weights, batch, jax.random.key(0))
  error = (seen["image"] - batch["image"]) ** 2
  np.testing.assert_allclose(aux["mse"], error.mean(), rtol=1e-5)
  assert seen["depth"].shape == (B, M, *TINY.sides)


def test_only_the_first_view_and_the_poses_make_the_field(given):
  weights, batch, _ = given
  run = jax.jit(TINY.views)
  want = run(weights, batch, jax.random.key(0))["image"]
  others = batch["image"].copy()
  others[:, 1:] = 0
  found = run(weights, batch | {"image": others}, jax.random.key(1))["image"]
  np.testing.assert_array_equal(found, want)
  others[:, 0] = 0
  found = run(weights, batch | {"image": others}, jax.random.key(1))["image"]
  assert np.abs(found - want).max() > 1e-4


def test_views_in_another_order_are_rendered_alike(given):
  weights, batch, _ = given
  order = [0, 2, 1]
  moved = {n: x[:, order] for n, x in batch.items()}
  found, want = (
    jax.jit(TINY.views)(weights, x, jax.random.key(0))["image"]
    for x in (moved, batch)
  )
  np.testing.assert_allclose(found, want[:, order], atol=1e-5)


def test_jitter_is_one_draw_for_all_rays(given):
  _, _, draws = given
  assert draws["jitter"].shape == (TINY.radiance.samples + 1,)
  assert "jitter" in TINY.shared


def test_the_encoder_has_no_last_norm_and_mae_s_table(fill):
  """A masked autoencoder on such frames begins with the same tokens."""
  stage = mae.MAE(
    size=TINY.size,
    height=TINY.height,
    dims=TINY.dims,
    decoder_dims=dataclasses.replace(
      TINY.decoder_dims, width=16, depth=1, heads=2
    ),
  )
  image = scenes()["image"][:, 0]
  ours = jax.eval_shape(TINY.init, jax.random.key(0), scenes())[0]["main"]
  theirs = fill(stage, {"image": image})[0]["main"]["encoder"]
  assert set(trees.named(theirs)) - set(trees.named(ours["encoder"])) == {
    "norm/scale",
    "norm/bias",
  }
  x = (image - np.array(TINY.planes.mean)) / np.array(TINY.planes.std)
  want = stage.encoder.apply({"params": theirs}, x.astype("f4"))
  own = {n: x for n, x in theirs.items() if n != "norm"}
  table = TINY.init(jax.random.key(0), scenes())[0]["main"]["encoder"]
  own["pos_embed"] = table["pos_embed"]
  found = TINY.planes.latent(own, TINY.nets[0], image)
  np.testing.assert_allclose(found, want["stream"], atol=1e-4)


def test_all_is_decayed_and_the_encoder_has_its_own_rate():
  params, _ = jax.eval_shape(TINY.init, jax.random.key(0), scenes())
  found = trees.named(optim.leaf_settings(params, TINY.groups()))
  for name, leaf in found.items():
    own = TINY.encoder_lr if "/encoder/" in name else 1.0
    stored = name.endswith("encoder/pos_embed")
    assert leaf.frozen == stored, name
    if not stored:
      assert (leaf.lr, leaf.decay) == (own, 1.0), name


@pytest.mark.parametrize(
  ("fields", "words"),
  [
    (dict(decoder_dims=dict(width=32)), "decoder_dims.width=32"),
    (dict(rays=dict(whole=False)), "rays.whole=False"),
    (dict(perceptual=dict(network="none")), "rays.whole=True"),
    (dict(height=10), "does not divide by patch"),
    (dict(planes=dict(patch=3)), "planes.resolution"),
    (dict(members=1), "members 1"),
  ],
)
def test_fields_that_do_not_go_together(fields, words):
  with pytest.raises(ValueError, match=words):
    field.replace(TINY, **fields).inputs()
