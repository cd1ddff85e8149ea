"""Weights pass one leaf at a time, in and out."""

import math
import tracemalloc

import jax
import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert import files
from jmim.convert import importing
from jmim.convert import ops
from jmim.convert import plan
from jmim.convert import table
from jmim.core import tree as trees
from jmim.parallel import sharding

LEAVES, LAYERS, SIDE = 6, 4, 512
LEAF = LAYERS * SIDE * SIDE * 4
SLACK = 1 << 19  # names, headers, generators, programs, a buffer of zipfile
RULES = [
  table.Rule(
    theirs=f"b.{{i}}.w{j}.weight",
    ours=f"params/w{j}/layers/kernel",
    op=ops.LINEAR,
  )
  for j in range(LEAVES)
]


def peak(work):
  """(result, bytes beyond what is kept at the end)."""
  tracemalloc.start()
  try:
    result = work()
    kept, most = tracemalloc.get_traced_memory()
  finally:
    tracemalloc.stop()
  return result, most - kept


@pytest.fixture
def like():
  shape = jax.ShapeDtypeStruct((LAYERS, SIDE, SIDE), np.float32)
  return {
    "params": {f"w{j}": {"layers": {"kernel": shape}} for j in range(LEAVES)}
  }


@pytest.fixture
def theirs():
  rng = np.random.default_rng(0)
  names = [f"b.{i}.w{j}.weight" for j in range(LEAVES) for i in range(LAYERS)]
  draw = lambda: rng.normal(size=(SIDE, SIDE)).astype(np.float32)
  return {n: draw() for n in names}


def write(path, arrays):
  if path.suffix == ".npz":
    files.write_npz(path, arrays.items())
    return
  specs = {n: (x.shape, x.dtype) for n, x in arrays.items()}
  files.write(path, specs, arrays.items())


MESH = {"data": 2, "fsdp": 4}


def plan_of(path, like):
  return plan.Plan(
    table=RULES,
    weights=files.read(path),
    like=trees.named(like),
    ignored=[],
    fresh=[],
    resized=[],
  )


def layout(like):
  return trees.named(sharding.Layout(sharding.make_mesh(MESH)).tree(like))


def check(placed, theirs):
  for j in range(LEAVES):
    array = placed[f"params/w{j}/layers/kernel"]
    assert array.sharding.spec == jax.sharding.PartitionSpec(None, None, "fsdp")
    want = np.stack([theirs[f"b.{i}.w{j}.weight"].T for i in range(LAYERS)])
    np.testing.assert_array_equal(np.asarray(array), want)


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz"])
@pytest.mark.parametrize("layered", [False, True])
def test_import_holds_one_piece_beside_the_result(
  tmp_path, like, theirs, name, layered
):
  write(tmp_path / name, theirs)
  made = plan_of(tmp_path / name, like)
  pieces = made.pieces(0 if layered else math.inf)
  placed, beyond = peak(lambda: plan.place(pieces, made.like, layout(like)))
  piece = LEAF // LAYERS if layered else LEAF
  assert beyond <= 2 * piece + SLACK, f"{beyond / piece:.2f} pieces"
  assert LEAVES > 4  # all at once would be seen
  check(placed, theirs)


def test_export_holds_one_leaf(tmp_path, like, theirs):
  write(tmp_path / "in.safetensors", theirs)
  specs = {n: (x.shape, x.dtype) for n, x in theirs.items()}

  class Leaves(dict):
    def __missing__(self, name):
      j = int(name.split("/")[1][1:])
      return np.stack([theirs[f"b.{i}.w{j}.weight"].T for i in range(LAYERS)])

  _, beyond = peak(
    lambda: files.write(
      tmp_path / "out.safetensors", specs, table.export_stream(RULES, Leaves())
    )
  )
  assert beyond <= 2 * LEAF + SLACK, f"{beyond / LEAF:.2f} leaves"
  same = [(tmp_path / f"{n}.safetensors").read_bytes() for n in ("in", "out")]
  assert same[0] == same[1]


@pytest.mark.slow
def test_a_network_of_seven_billion_goes_layer_by_layer(tmp_path):
  """DINOv3's ViT-7B: all names and shapes, and two layers as wide for real."""
  family = families.find("dinov3")
  sizes = dict(
    variant="B/16",
    size=64,
    width=4096,
    heads=32,
    mlp_ratio=2.0,
    act="swiglu",
    positions="rotary",
    registers=4,
    layer_scale=1e-5,
    qkv_bias=False,
    key_bias=False,
    classes=2,
  )
  method = kit.tiny("vit", depth=40, **sizes)
  like = importing.shapes(method)
  named = {n: x for n, x in trees.named(like).items() if "/head/" not in n}
  assert 6.6e9 < sum(x.size for x in named.values()) < 6.8e9
  two = kit.tiny("vit", depth=2, **sizes)
  like = importing.shapes(two)
  named = {n: x for n, x in trees.named(like).items() if "/head/" not in n}
  rules = family.table(two)
  shapes = table.shapes(rules, named)
  largest = 4 * max(np.prod(s) for s in shapes.values())
  specs = {n: (s, np.float32) for n, s in shapes.items()}
  fill = ((n, np.full(s, i, "f4")) for i, (n, s) in enumerate(shapes.items()))
  files.write(tmp_path / "w.safetensors", specs, fill)
  found = files.read(tmp_path / "w.safetensors")
  made = plan.make(family, two, found, like)
  placed, beyond = peak(
    lambda: plan.place(made.pieces(), made.like, layout(like))
  )
  print(f"largest {largest / 2**20:.0f} MiB, peak {beyond / 2**20:.0f} MiB")
  assert beyond <= 2 * largest + SLACK, f"{beyond / largest:.2f} tensors"
  gate = placed["params/main/encoder/blocks/layers/mlp/gate/kernel"]
  names = list(shapes)
  for i in range(2):
    want = names.index(f"blocks.{i}.mlp.w1.weight")
    assert (np.asarray(gate[i]) == want).all()
  assert gate.sharding.spec[1:] == (None, "fsdp")
