"""Weights pass one leaf at a time, in and out."""

import tracemalloc

import jax
import numpy as np
import pytest

from jmim.convert import files
from jmim.convert import plan
from jmim.convert import table
from jmim.core import sharding
from jmim.core import tree as trees

LEAVES, LAYERS, SIDE = 6, 4, 256
LEAF = LAYERS * SIDE * SIDE * 4
SLACK = 1 << 15  # names, headers, generators
RULES = [
  table.Rule(f"b.{{i}}.w{j}.weight", f"params/w{j}/layers/kernel",
             table.LINEAR)
  for j in range(LEAVES)
]  # fmt: skip


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
  return {"params": {f"w{j}": {"layers": {"kernel": shape}}
                     for j in range(LEAVES)}}  # fmt: skip


@pytest.fixture
def theirs():
  rng = np.random.default_rng(0)
  names = [f"b.{i}.w{j}.weight" for j in range(LEAVES) for i in range(LAYERS)]
  draw = lambda: rng.normal(size=(SIDE, SIDE)).astype(np.float32)  # noqa: E731
  return {n: draw() for n in names}


def write(path, arrays):
  if path.suffix == ".npz":
    files.write_npz(path, arrays.items())
    return
  specs = {n: (x.shape, x.dtype) for n, x in arrays.items()}
  files.write(path, specs, arrays.items())


@pytest.mark.parametrize("name", ["a.safetensors", "a.npz"])
def test_import_holds_one_leaf_beside_the_result(tmp_path, like, theirs, name):
  write(tmp_path / name, theirs)
  found = files.read(tmp_path / name)
  made = plan.Plan(RULES, found, trees.named(like), [], [], [])
  mesh = sharding.make_mesh({"data": 2, "fsdp": 4})
  where = trees.named(sharding.Layout(mesh).tree(like))
  placed, beyond = peak(lambda: plan.place(made.leaves(), where))
  assert beyond <= 2 * LEAF + SLACK, f"{beyond / LEAF:.2f} leaves"
  assert LEAVES > 4  # all at once would be seen
  for j in range(LEAVES):
    array = placed[f"params/w{j}/layers/kernel"]
    assert array.sharding.spec == jax.sharding.PartitionSpec(None, None, "fsdp")
    want = np.stack([theirs[f"b.{i}.w{j}.weight"].T for i in range(LAYERS)])
    np.testing.assert_array_equal(np.asarray(array), want)


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
