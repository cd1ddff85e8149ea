import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import pyramid
from jmim.methods.supervised import convnet
from jmim.nn import resize
from jmim.nn.frozen import lpips
from jmim.nn.nets import vit

RNG = np.random.default_rng(0)
IMAGES = jnp.asarray(RNG.uniform(-1, 1, (2, 2, 16, 16, 3)), jnp.float32)


def of(kind="vgg", **net):
  return pyramid.Pyramid(net=field.replace(pyramid.KINDS[kind](), **net))


SMALL = of(variant="small", width=4)
PARAMS = SMALL.net.init(jax.random.key(0), 16)


def pooled(x):
  b, h, w, c = x.shape
  return np.asarray(x).reshape(b, h // 2, 2, w // 2, 2, c).max((2, 4))


def test_levels_are_what_follows_each_pooling_on_one_grid():
  levels = ((16, 2), (32, 1), (16, 1))
  found = SMALL.maps(PARAMS, IMAGES, levels, 6)
  assert [m.shape[-1] for m in found] == [8, 4, 4]
  flat = IMAGES.reshape(4, 16, 16, 3)
  look = lambda x: lpips.features(SMALL.net.layers, PARAMS, lpips.normalise(x))
  taps = look(flat)
  wanted = {(16, 1): taps[0], (16, 2): taps[1]}
  wanted[(32, 1)] = look(resize.images(flat, (32, 32), "bilinear"))[0]
  for level, m in zip(levels, found, strict=True):
    even = resize.images(jnp.asarray(pooled(wanted[level])), (6, 6), "corners")
    np.testing.assert_allclose(m.reshape(4, 6, 6, -1), even, atol=1e-5)
  assert SMALL.channels((16, 2), 16) == 8 and SMALL.channels((), 16) == 0


def test_it_reads_a_run_of_the_small_classifier():
  """The same names; images in -1 .. 1 there, too."""
  run = convnet.ConvNet(size=16, width=4)
  params, _ = run.init(jax.random.key(1), {})
  like = jax.eval_shape(SMALL.const(16).init, jax.random.key(0))
  there = jax.tree.map(jnp.shape, params["main"]["net"])
  assert jax.tree.map(lambda x: x.shape, like) == there


def test_vgg16_has_torchvisions_names_with_or_without_weights_of_lpips():
  net = pyramid.Pyramid().net
  shapes = jax.eval_shape(lambda k: net.init(k, 32), jax.random.key(0))
  numbers = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
  assert {n for n in shapes if n.endswith("weight")} == {
    f"features.{i}.weight" for i in numbers
  }
  assert shapes["features.28.weight"].shape == (512, 512, 3, 3)
  lin = of(lin=True).net
  more = jax.eval_shape(lambda k: lin.init(k, 32), jax.random.key(0))
  assert {n for n in more if n not in shapes} == {
    f"lin{k}.model.1.weight" for k in range(5)
  }
  image = jax.ShapeDtypeStruct((1, 64, 64, 3), jnp.float32)
  maps = jax.eval_shape(lambda p, x: net.maps(p, x, 5), shapes, image)
  assert [(m.shape[1], m.shape[3]) for m in maps] == [
    (32, 64),
    (16, 128),
    (8, 256),
    (4, 512),
    (2, 512),
  ]


@pytest.mark.parametrize("kind, most", [("conv", 3), ("vit", 2)])
def test_maps_of_runs_of_other_kinds(kind, most):
  net = {
    "conv": dict(dims=dict(width=8, multipliers=(1, 2, 2), norm_groups=4)),
    "vit": dict(dims=dict(variant="Ti/4", width=16, depth=2, heads=2)),
  }[kind]
  part = of(kind, **net)
  params = part.net.init(jax.random.key(0), 16)
  assert part.net.most == most
  levels = ((16, most), (16, 1))
  last, first = part.maps(params, IMAGES, levels, 4)
  assert last.shape[:4] == first.shape[:4] == (2, 2, 4, 4)
  whole = part.net.maps(params, IMAGES.reshape(4, 16, 16, 3), most)
  wanted = resize.images(whole[-1].astype(jnp.float32), (4, 4), "corners")
  np.testing.assert_allclose(last.reshape(wanted.shape), wanted, atol=1e-5)


def test_map_i_of_a_vit_follows_block_i_whatever_else_is_read():
  part = of("vit", dims=dict(variant="Ti/4", width=16, depth=4, heads=2))
  params = part.net.init(jax.random.key(0), 16)
  flat = IMAGES.reshape(4, 16, 16, 3)
  net = vit.build(part.net.dims, 16, rt=part.net.rt)
  blocks = net.apply({"params": params}, flat, taps=("block",))["block"]
  second = blocks[1][:, net.prefix :].reshape(IMAGES.shape[:2] + (4, 4, 16))
  for levels in (((16, 2),), ((16, 3), (16, 2)), ((16, 2), (16, 1))):
    made = part.maps(params, IMAGES, levels, 4)[levels.index((16, 2))]
    np.testing.assert_allclose(made, second, atol=1e-5)


def test_a_run_sees_images_normalised_as_it_was_trained():
  mean, std = (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
  part = dataclasses.replace(SMALL, mean=mean, std=std)
  own = ((IMAGES + 1) / 2 - jnp.array(mean)) / jnp.array(std)
  levels = ((16, 1),)
  (wanted,) = SMALL.maps(PARAMS, own, levels, 4)
  (found,) = part.maps(PARAMS, IMAGES, levels, 4)
  np.testing.assert_allclose(found, wanted, atol=1e-4)
  (plain,) = SMALL.maps(PARAMS, IMAGES, levels, 4)
  assert np.abs(plain - found).max() > 0.1
  agrees = part.const(16).agrees
  assert agrees["data.mean"] == ("method.features.mean", mean)
  assert agrees["data.std"] == ("method.features.std", std)
  assert SMALL.const(16).agrees["data.mean"][1] == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
  "fields", [dict(mean=(0.5,)), dict(std=(0.2, 0.2)), dict(std=(1.0, 1.0, 0.0))]
)
def test_a_normalisation_that_there_is_not(fields):
  part = dataclasses.replace(SMALL, **fields)
  with pytest.raises(ValueError, match="features.mean"):
    part.check(((16, 1),), "matcher.levels")


@pytest.mark.parametrize(
  "levels, said",
  [
    ((), "pairs of a side"),
    (((16, 1, 2),), "pairs of a side"),
    (((16, 4),), "maps 1 to 3"),
    (((16, 0),), "maps 1 to 3"),
    (((4, 1),), "at least 8"),
  ],
)
def test_levels_that_there_are_not(levels, said):
  with pytest.raises(ValueError, match=said):
    SMALL.check(levels, "matcher.levels")


def test_a_vit_with_other_heads_is_refused(refused):
  """Of a Swin, and SimMIM's ViT, the tables of positions show them."""

  def make(path):
    part = of("vit", dims=dict(variant="Ti/4", width=16, heads=2))
    return field.replace(part, host=dict(path=path)).const(16)

  told = lambda heads: {"dims": dict(variant="Ti/4", width=16, heads=heads)}
  assert refused(make, told(2)) == ""
  assert refused(make, told(4)) == "method.features.net.dims.heads"
