import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.nn.nets import dimr
from jmim.nn.nets import dimr_dims

SIDE = 8
DIMS = dimr_dims.Dims(
  widths=(16, 8),
  blocks=(4, 1),
  heads=(2, 1),
  kernels=(1, 3),
  patches=(4, 2),
)
LABEL = jnp.asarray([0, 3])
TAU = jnp.asarray([-0.5, 0.5])


def net(classes=3, **changes):
  dims = dataclasses.replace(DIMS, **changes)
  return dimr.DiMR(
    branches=dims.branches(SIDE),
    channels=3,
    classes=classes,
    norm=dims.norm,
    rotary=dims.rotary,
    detached=dims.detached,
  )


@pytest.fixture(scope="module")
def image(normal):
  return normal(2, SIDE, SIDE, 3)


@pytest.fixture(scope="module")
def params(fill, image):
  return fill(net(), image, TAU, LABEL)["params"]


def run(model, params, image, tau=TAU, label=LABEL):
  return jax.jit(model.apply)({"params": params}, image, tau, label)


def test_stacks_hold_so_many_blocks(params):
  stacks = lambda k: {
    name.split("/")[1]: a.shape[0]
    for name, a in trees.named(params).items()
    if name.startswith(f"branch{k}/") and "/layers/" in name
  }
  assert stacks(0) == {"first": 3, "last": 2}
  assert stacks(1) == {"first": 1}


def test_skips_are_every_map_without_the_class_token(params, image):
  out = run(net(), params, image)
  assert out["skips"][0].shape == (2, 2, 2, 6 * 16)
  assert out["skips"][1].shape == (2, 4, 4, 2 * 8)
  # The first is what the branch reads: it knows no label.
  other = run(net(), params, image, label=jnp.asarray([1, 2]))
  moved = np.abs(out["skips"][0] - other["skips"][0])
  assert moved[..., :16].max() == 0 and moved[..., 16:].max() > 1e-3


def test_one_branch_is_the_first_of_several(params, image):
  first = dataclasses.replace(net(), branches=net().branches[:1])
  out = run(net(), params, image)
  alone = run(first, {"branch0": params["branch0"]}, image)
  np.testing.assert_allclose(alone["pred"][0], out["pred"][0], atol=1e-5)


@pytest.mark.parametrize("norm", ["td_rms", "td_layer"])
def test_equal_ends_ignore_time(norm, fill, image):
  model = net(norm=norm)
  params = fill(model, image, TAU, LABEL)["params"]
  named = trees.named(params)
  equal = {
    n: named[n.replace("/p0", "/p1")] if n.endswith("/p0") else a
    for n, a in named.items()
  }
  early, late = (
    run(model, trees.nested(equal), image, tau) for tau in (TAU, TAU + 0.4)
  )
  for a, b in zip(early["pred"], late["pred"], strict=True):
    np.testing.assert_allclose(a, b, atol=1e-5)
  moved = run(model, params, image, TAU + 0.4)["pred"][1]
  assert np.abs(moved - run(model, params, image)["pred"][1]).max() > 1e-3


@pytest.mark.parametrize("detached", [False, True])
def test_a_detached_branch_does_not_teach_the_one_before(
  detached, params, image
):
  model = net(detached=detached)
  error = lambda p: (
    model.apply({"params": p}, image, TAU, LABEL)["pred"][1] ** 2
  ).mean()
  grads = jax.jit(jax.grad(error))(params)
  most = max(np.abs(g).max() for g in jax.tree.leaves(grads["branch0"]))
  assert (most == 0) == detached
  assert np.abs(grads["branch1"]["upsample"]["shuffle"]["kernel"]).max() > 0


def test_a_branch_can_see_the_image_smaller(fill, image):
  model = net(patches=(2, 2), reduced=(2, 1))
  params = fill(model, image, TAU, LABEL)["params"]
  assert params["branch0"]["embed"]["proj"]["kernel"].shape == (12, 16)
  means = image.reshape(2, 4, 2, 4, 2, 3).mean((2, 4))
  flat = np.repeat(np.repeat(means, 2, 1), 2, 2)
  found, wanted = (run(model, params, x)["pred"][0] for x in (image, flat))
  np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_upsampling_puts_numbers_side_by_side(fill, normal):
  """No checkerboard: rows before columns, channels last."""
  skips = normal(1, 2, 3, 8)
  module = dimr.Upsample(width=4, ratio=2, norm="td_rms")
  params = fill(module, skips, TAU[:1])["params"]
  # norm2 turns each place into what is told apart; the map before it is known.
  bias = jnp.repeat(jnp.arange(4.0), 4) * jnp.tile(jnp.arange(1.0, 5), 4)
  shuffle = {"kernel": 0 * params["shuffle"]["kernel"], "bias": bias}
  ends = {"p0": jnp.ones(4), "p1": jnp.ones(4)}
  still = {"slope": jnp.zeros(4), "offset": jnp.zeros(4)}
  zero = {"p0": jnp.zeros(4), "p1": jnp.zeros(4)}
  params |= {
    "shuffle": shuffle,
    "norm2": {"scale": ends | still, "bias": zero | still},
  }
  found = module.apply({"params": params}, skips, TAU[:1])[0]
  rows = np.arange(4.0)[:, None] * np.arange(1.0, 5)
  rows -= rows.mean(1, keepdims=True)
  rows /= np.sqrt(rows.var(1, keepdims=True) + 1e-5)
  wanted = rows.reshape(2, 2, 4)
  np.testing.assert_allclose(found[:2, :2], wanted, atol=1e-4)
  np.testing.assert_allclose(found[2:, 4:], wanted, atol=1e-4)
  assert np.abs(wanted[0, 1] - wanted[1, 0]).max() > 1e-6


def test_the_last_branch_predicts_every_pixel(params, image):
  assert run(net(), params, image)["pred"][1].shape == image.shape
  uvit = dict(
    kinds=("transformer",), widths=(16,), blocks=(3,), heads=(2,), kernels=(1,)
  )
  model = net(**uvit, patches=(4,))
  like = jax.eval_shape(model.init, jax.random.key(0), image, TAU, LABEL)
  pred = like["params"]["branch0"]["pred"]
  assert pred["kernel"].shape == (3, 3, 16, 4 * 4 * 3)
  zero = jax.tree.map(lambda s: jnp.zeros(s.shape), like["params"])
  bias = np.arange(48.0)
  zero["branch0"]["pred"]["bias"] = jnp.asarray(bias)
  found = run(model, zero, image)["pred"][0]
  np.testing.assert_array_equal(found[0, 4:, :4], bias.reshape(4, 4, 3))


def test_rotary_positions_stand_for_the_table(fill, image):
  model = net(rotary=True)
  params = fill(model, image, TAU, LABEL)["params"]
  assert "pos_embed" not in params["branch0"]["embed"]
  assert "pos_embed" in params["branch1"]["embed"]
  stacked = params["branch0"]["first"]["layers"]
  assert stacked["rotary"]["row"].shape == (3, 2, 2)
  turned = jax.tree.map(lambda a: a, params)
  layers = turned["branch0"]["first"]["layers"]
  layers["rotary"]["row"] = layers["rotary"]["row"] + 1.0
  a, b = (run(model, p, image)["pred"][0] for p in (params, turned))
  assert np.abs(a - b).max() > 1e-6


def shapes(model, side=32):
  x, one = jnp.zeros((1, side, side, 4)), jnp.zeros(1)
  like = jax.eval_shape(
    lambda k: model.init(k, x, one, one.astype(int)), jax.random.key(0)
  )
  return trees.named(like["params"])


def published(side=32, **changes):
  dims = dataclasses.replace(dimr_dims.Dims(), **changes)
  return dimr.DiMR(
    branches=dims.branches(side), channels=4, classes=1000, norm=dims.norm
  )


def count(named, *parts):
  return sum(a.size for n, a in named.items() if any(p in n for p in parts))


def test_sizes_of_the_paper():
  xl = shapes(published())
  assert round(count(xl, "") / 1e6) == 505
  g = dict(widths=(1152, 576), blocks=(57, 29))
  assert round(count(shapes(published(**g)), "") / 1e7) == 106
  three = dict(
    kinds=("transformer", "convnext", "convnext"),
    widths=(960, 480, 240),
    blocks=(39, 20, 20),
    heads=(16, 1, 1),
    kernels=(1, 7, 7),
    patches=(4, 2, 1),
  )
  found = count(shapes(published(64, **three), 64), "") / 1e6
  assert abs(found - 525) < 3


def test_norms_that_depend_on_time_are_a_small_part_of_adaln():
  timed = count(shapes(published()), "/p0", "/p1", "/slope", "/offset")
  told = count(
    shapes(published(norm="adaln")), "/modulation/", "/gate1/", "/gate2/"
  )
  assert 0 < timed < 0.005 * told
