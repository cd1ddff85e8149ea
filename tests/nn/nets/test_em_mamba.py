import dataclasses
import pathlib

import jax
import numpy as np
import pytest

from jmim.core import config
from jmim.core import runtime
from jmim.core import tree as trees
from jmim.methods.parts import volume_dims
from jmim.nn.nets import em_mamba

ROOT = pathlib.Path(__file__).resolve().parents[3]
RECIPE = ROOT / "configs" / "tokenunify_fafb.py"
SIZE = em_mamba.Size(widths=(4, 6), depths=(1, 2), slices=2, states=3)


@pytest.fixture(scope="module")
def x(normal):
  return normal(2, 4, 8, 8, 1)


@pytest.fixture(scope="module")
def net():
  return em_mamba.Network(size=SIZE, hidden=8, out=3)


@pytest.fixture(scope="module")
def params(net, x, fill):
  return fill(net, x)["params"]


def test_every_stage_halves_all_sides_and_the_output_has_them_again(
  net, x, params
):
  shapes = jax.tree.map(
    lambda s: s.shape, jax.eval_shape(net.apply, {"params": params}, x)
  )
  assert shapes == {
    "out": (2, 4, 8, 8, 3),
    "map": (2, 4, 8, 8, 4),
    "level0": (2, 2, 4, 4, 4),
    "level1": (2, 1, 2, 2, 6),
  }
  depth = {
    name: jax.tree.leaves(params["encoder"][name])[0].shape[0]
    for name in ("stage0", "stage1")
  }
  assert depth == {"stage0": 1, "stage1": 2}


def test_the_decoder_and_the_mixers_have_the_sizes_asked_for(x):
  size = dataclasses.replace(SIZE, rank=2)
  net = em_mamba.Network(size=size, hidden=8, kernel=5)
  params = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
  shapes = {n: leaf.shape for n, leaf in trees.named(params).items()}
  thin = {
    name.split("/")[0]: shape[:3]
    for name, shape in shapes.items()
    if name.endswith(("conv1/kernel", "conv2/kernel"))
    and not name.startswith("encoder")
  }
  assert thin == dict.fromkeys(
    ("skip0", "skip1", "skip2", "up0", "up1", "last"), (1, 5, 5)
  )
  steps = {s for n, s in shapes.items() if n.endswith("dt_proj/kernel")}
  assert steps == {(1, 2, 8), (2, 2, 12)}


# As the released code has them beside its sizes [M].
@pytest.mark.parametrize(
  ("variant", "millions"),
  [
    ("28M", 28.3),
    ("113M", 112.53),
    ("207M", 206.58),
    ("507M", 506.57),
    ("1009M", 1008.91),
  ],
)
def test_published_sizes_have_the_published_parameters(variant, millions):
  recipe = config.load(f"{RECIPE}:variant={variant}")
  dims = volume_dims.VolumeDims(**recipe.method.dims)
  like = jax.ShapeDtypeStruct((1, 16, 160, 160, 1), np.float32)
  shapes = jax.eval_shape(dims.network(1).init, jax.random.key(0), like)
  count = sum(leaf.size for leaf in jax.tree.leaves(shapes))
  assert count / 1e6 == pytest.approx(millions, abs=0.05)


def test_examples_do_not_see_each_other(net, x, params):
  run = jax.jit(net.apply)
  both = run({"params": params}, x)["out"]
  other = x.copy()
  other[0] += 1
  moved = run({"params": params}, other)["out"]
  np.testing.assert_allclose(moved[1], both[1], atol=1e-5)
  assert abs(moved[0] - both[0]).max() > 1e-3


def test_levels_are_what_the_decoder_reads(net, x, params):
  """A stage without its tail passes nothing on to the output but zeros."""
  cut = jax.tree.map(np.copy, params)
  for name in ("tail0", "tail1"):
    for leaf in cut["encoder"][name]["fc2"].values():
      leaf[:] = 0
  out = jax.jit(net.apply)({"params": cut}, x)
  assert not np.any(out["level0"]) and not np.any(out["level1"])
  assert np.any(out["out"] != out["out"].mean())  # the input is a skip


@pytest.mark.parametrize(
  ("shape", "stages", "slices", "said"),
  [
    ((16, 80, 80), 4, 5, None),
    ((16, 160, 160), 4, 5, None),
    ((8, 40, 40), 2, 5, None),
    ((8, 40, 40), 4, 5, "multiples of 16"),
    ((8, 48, 48), 2, 5, "2304 tokens in stage 1"),
    ((16, 160, 160), 4, 3, "51200 tokens in stage 1"),
  ],
)
def test_what_no_network_reads_is_an_error(shape, stages, slices, said):
  if said is None:
    em_mamba.check(shape, stages, slices)
    return
  with pytest.raises(ValueError, match=said):
    em_mamba.check(shape, stages, slices)


def test_the_head_is_that_of_the_card(fill):
  """2 x 20 x 20 numbers of 16 x 160 x 160 voxels, after three halvings."""
  head = em_mamba.NextHead(voxels=4 * 16 * 16)
  shape = jax.ShapeDtypeStruct((1, 16, 160, 160, 1), np.float32)
  params = jax.eval_shape(head.init, jax.random.key(0), shape)["params"]
  shapes = {name: p["kernel"].shape for name, p in params.items()}
  assert shapes == {
    "conv0": (3, 3, 3, 1, 12),
    "conv1": (3, 3, 3, 12, 12),
    "conv2": (3, 3, 3, 12, 1),
    "out": (800, 1024),
  }
  x = np.zeros((2, 4, 8, 8, 1), np.float32)
  p = fill(em_mamba.NextHead(voxels=3), x)["params"]
  p["conv0"]["bias"][:] = -1.0  # nothing passes the ReLU
  out = em_mamba.NextHead(voxels=3).apply({"params": p}, x)
  np.testing.assert_allclose(out[0], out[1])


@pytest.mark.parametrize("remat", ["full", "dots"])
def test_blocks_computed_again_are_the_same_and_keep_less(
  net, x, params, remat
):
  again = net.clone(rt=runtime.Runtime(remat=remat))
  loss = lambda n: lambda p: (n.apply({"params": p}, x)["out"] ** 2).sum()
  one, other = (jax.jit(jax.grad(loss(n))) for n in (net, again))
  for a, b in zip(
    *map(jax.tree.leaves, (one(params), other(params))), strict=True
  ):
    np.testing.assert_allclose(a, b, atol=1e-4 * max(1, abs(a).max()))
  count = lambda n: str(jax.make_jaxpr(jax.grad(loss(n)))(params)).count(
    "remat"
  )
  assert count(again) > count(net)
