import dataclasses

import jax
import jax.numpy as jnp
import kit
import numpy as np
import pytest

from jmim.core import runtime
from jmim.core import tree as trees
from jmim.nn import norm
from jmim.nn import posemb
from jmim.nn import resize
from jmim.nn import sizes
from jmim.nn.nets import teacher as teachers

MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
CLIP = teachers.Teacher(
  family="clip",
  dims=sizes.Dims(variant="Ti/4", width=16, depth=2, heads=2),
  grid=(3, 3),
  mean=MEAN,
  std=STD,
  rt=runtime.Runtime(),
)
DINO = dataclasses.replace(CLIP, family="dino")


@pytest.fixture(scope="module")
def images():
  """Pixels in [0, 1], and as they are normalised for a student."""
  pixels = np.random.default_rng(1).random((2, 12, 12, 3), np.float32)
  return pixels, ((pixels - MEAN) / np.array(STD)).astype(np.float32)


@pytest.fixture(scope="module")
def layers(images):
  params = jax.jit(CLIP.init)(jax.random.key(0))
  return params, jax.jit(CLIP.layers)(params, images[1])


def test_clip_gets_images_with_its_own_mean_and_std(images):
  pixels, normalised = images
  expected = (pixels - teachers.CLIP_MEAN) / np.array(teachers.CLIP_STD)
  np.testing.assert_allclose(CLIP.view(normalised), expected, atol=1e-5)
  np.testing.assert_array_equal(DINO.view(normalised), normalised)


def test_a_teacher_may_have_statistics_of_its_own(images):
  pixels, normalised = images
  own = dataclasses.replace(DINO, own_mean=STD, own_std=MEAN)
  expected = (pixels - np.array(STD)) / np.array(MEAN)
  np.testing.assert_allclose(own.view(normalised), expected, atol=1e-5)
  # I2P-MAE gives ImageNet's to a CLIP; here, the student's.
  clip = dataclasses.replace(CLIP, own_mean=MEAN, own_std=STD)
  np.testing.assert_array_equal(clip.view(normalised), normalised)


@pytest.mark.parametrize("kind", ["bilinear", "smooth"])
def test_each_teacher_has_its_own_resizing(images, kind):
  half = dataclasses.replace(DINO, dims=sizes.Dims(variant="Ti/2"), resize=kind)
  expected = resize.images(jnp.asarray(images[1]), (6, 6), kind)
  np.testing.assert_array_equal(half.view(jnp.asarray(images[1])), expected)


def test_images_are_resized_to_the_grid_of_the_student(images):
  half = dataclasses.replace(DINO, dims=sizes.Dims(variant="Ti/2"))
  small = half.view(jnp.asarray(images[1]))
  assert small.shape == (2, 6, 6, 3)
  flat = images[1].reshape(2, -1, 3)
  expected = posemb.resize(jnp.asarray(flat), (12, 12), (6, 6))
  np.testing.assert_allclose(small.reshape(2, -1, 3), expected, atol=1e-6)


def test_the_last_layer_read_has_no_norm_after_it(images, layers):
  params, out = layers
  assert "norm" not in params and "norm_pre" in params
  whole = CLIP.encoder.apply({"params": params}, CLIP.view(images[1]))
  np.testing.assert_allclose(out["block"][-1], whole["latent"], atol=1e-5)
  assert out["block"].shape == (2, 2, 10, 16)
  np.testing.assert_allclose(out["embedded"], whole["embedded"], atol=1e-5)


def test_importance_is_the_last_attention_of_cls_to_the_patches(images, layers):
  params, out = layers
  maps = CLIP.encoder.apply(
    {"params": params}, CLIP.view(images[1]), taps=("attention",)
  )["attention"]
  expected = maps[-1][:, :, 0, 1:].mean(1)
  np.testing.assert_allclose(out["importance"], expected, atol=1e-6)
  p = np.asarray(out["importance"])
  assert (p > 0).all() and (p.sum(1) < 1).all()


def test_no_gradient_reaches_a_teacher(images, layers):
  params, _ = layers

  def total(params):
    return sum(x.sum() for x in jax.tree.leaves(CLIP.layers(params, images[1])))

  grads = jax.jit(jax.grad(total))(params)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize(
  "kind, weights",
  [
    ("top2", [0, 0, 0.5, 0.5]),
    ("top4", [0.25] * 4),
    ("mid0", [1, 0, 0, 0]),
    ("mid2", [0, 0, 1, 0]),
    ("mean", [0.25] * 4),
    ("out", [0, 0, 0, 1]),
    ("linear_decay", [0, 1 / 6, 2 / 6, 3 / 6]),
  ],
)
def test_layer_weights(kind, weights):
  np.testing.assert_allclose(teachers.layer_weights(kind, 4), weights)


@pytest.mark.parametrize("kind", ["top5", "mid4", "top0", "best", "top"])
def test_layers_that_are_not_there_are_named(kind):
  with pytest.raises(ValueError, match=f"{kind}.* 4 blocks"):
    teachers.layer_weights(kind, 4)


DEEP = dataclasses.replace(
  CLIP,
  family="dinov2_registers",
  dims=sizes.Dims(variant="Ti/4", width=16, depth=4, heads=2),
  final_norm=True,
)


@pytest.fixture(scope="module", params=[False, True], ids=["unrolled", "scan"])
def deep(request, images):
  """(teacher of 4 blocks, random parameters, all taps of the whole network)."""
  net = dataclasses.replace(DEEP, rt=runtime.Runtime(scan=request.param))
  like = jax.eval_shape(net.init, jax.random.key(0))
  rng = np.random.default_rng(0)
  params = jax.tree.map(
    lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype), like
  )
  run = lambda p, x: net.encoder.apply(
    {"params": p}, x, taps=("block", "q", "k", "v", "attention")
  )
  return net, params, jax.jit(run)(params, images[1])


def test_what_is_read_is_that_of_the_whole_network(images, deep):
  net, params, whole = deep
  read = lambda p, x: net.read(p, x, layer=-1, qkv=(2, -1, 0), importance=True)
  out = jax.jit(read)(params, images[1])
  # cls, four registers, nine patches.
  np.testing.assert_allclose(out["cls"], whole["latent"][:, 0], atol=1e-4)
  np.testing.assert_allclose(out["patches"], whole["latent"][:, 5:], atol=1e-4)
  for name in ("q", "k", "v"):
    expected = whole[name][jnp.array([2, 3, 0])]
    np.testing.assert_allclose(out[name], expected, atol=1e-4)
  expected = whole["attention"][-1][:, :, 0, 5:].mean(1)
  np.testing.assert_allclose(out["importance"], expected, atol=1e-5)
  assert set(out) == {"cls", "patches", "q", "k", "v", "importance"}


def test_a_chosen_layer_may_have_the_final_norm_after_it(images, deep):
  """DiGIT reads the third layer from the end, with it."""
  net, params, whole = deep
  raw = whole["block"][1][:, 5:]
  read = lambda net, p: jax.jit(lambda p: net.read(p, images[1], layer=-3))(p)
  plain = dataclasses.replace(net, final_norm=False)
  np.testing.assert_allclose(read(plain, params)["patches"], raw, atol=1e-4)
  layer = norm.LayerNorm(epsilon=1e-6)
  expected = layer.apply({"params": params["norm"]}, raw)
  np.testing.assert_allclose(read(net, params)["patches"], expected, atol=1e-4)


def test_blocks_after_the_last_that_is_read_are_not_run(images, deep):
  net, params, _ = deep
  broken = jax.tree.map(
    lambda x: x.at[2:].set(np.nan), jax.tree.map(jnp.asarray, params["blocks"])
  )
  out = jax.jit(lambda p: net.read(p, images[1], layer=1, qkv=(0,)))(
    {**params, "blocks": broken}
  )
  assert all(np.isfinite(x).all() for x in jax.tree.leaves(out))


def test_the_norm_and_projection_of_clip_act_on_every_token(images, normal):
  net = dataclasses.replace(CLIP, final_norm=True, project=5)
  params = jax.jit(net.init)(jax.random.key(0))
  assert net.width == 5 and CLIP.width == 16
  out = jax.jit(lambda p: net.read(p, images[1], layer=1))(params)
  whole = net.encoder.apply({"params": params["encoder"]}, net.view(images[1]))
  expected = whole["latent"] @ params["head"]["out"]["kernel"]
  np.testing.assert_allclose(out["cls"], expected[:, 0], atol=1e-5)
  np.testing.assert_allclose(out["patches"], expected[:, 1:], atol=1e-5)


def test_nothing_that_is_read_has_a_gradient(images, layers):
  def total(params):
    out = CLIP.read(params, images[1], layer=0, qkv=(1,), importance=True)
    return sum(x.sum() for x in jax.tree.leaves(out))

  grads = jax.jit(jax.grad(total))(layers[0])
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


@pytest.mark.parametrize("number", [2, -3])
def test_blocks_that_are_not_there_are_named(images, layers, number):
  for asked in ({"layer": number}, {"qkv": (0, number)}):
    with pytest.raises(ValueError, match=f"block {number} .* 2 blocks"):
      CLIP.read(layers[0], images[1], **asked)


@pytest.mark.parametrize("family", teachers.FAMILIES)
def test_parameters_are_named_as_converted_weights_are(family):
  """So that a run of `supervised.backbone` holds a teacher."""
  fields = {"clip": kit.CLIP, "mae": {"positions": "sincos"}} | {
    "dinov2": {"layer_scale": 1.0},
    "dinov2_registers": {"layer_scale": 1.0, "registers": 4},
  }
  method = kit.tiny("vit", **fields.get(family, {}))
  known = {n: x.shape for n, x in kit.shapes(method).items()}
  project = method.classes if family == "clip" else 0
  teacher = dataclasses.replace(
    DINO,
    family=family,
    dims=method.dims,
    grid=(4, 4),
    final_norm=True,
    project=project,
  )
  like = trees.named(jax.eval_shape(teacher.init, jax.random.key(0)))
  prefix = "params/main/" if project else "params/main/encoder/"
  wanted = {prefix + name: x.shape for name, x in like.items()}
  assert wanted.items() <= known.items()
