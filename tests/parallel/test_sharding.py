"""Meshes and layouts on eight simulated devices."""

import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.parallel import sharding

P = jax.sharding.PartitionSpec


def mesh(data=-1, fsdp=1, devices=8, **more):
  sizes = {"data": data, "fsdp": fsdp, **more}
  return sharding.make_mesh(sizes, jax.devices()[:devices])


def array(*dims):
  return jax.ShapeDtypeStruct(dims, np.float32)


@pytest.mark.parametrize(
  "sizes, devices, expected",
  [
    ((-1, 1), 8, (8, 1)),
    ((-1, 4), 8, (2, 4)),
    ((1, -1), 8, (1, 8)),
    ((2, 4), 8, (2, 4)),
    ((-1, 1), 1, (1, 1)),
    ((-1, 3), 6, (2, 3)),
    ((-1, 0), 8, (1, 8)),  # 0: as many as divide, at most 16
    ((-1, 0), 6, (3, 2)),
    ((-1, 0), 1, (1, 1)),
    ((4, 0), 8, (4, 2)),
  ],
)
def test_minus_one_takes_what_is_left(sizes, devices, expected):
  made = mesh(*sizes, devices)
  assert (made.shape["data"], made.shape["fsdp"]) == expected
  assert made.size == devices
  assert list(made.devices.ravel()) == jax.devices()[:devices]


@pytest.mark.parametrize(
  "sizes", [(-1, -1), (-1, 3), (2, 2), (16, 1), (0, -1), (3, 0), (0, 1)]
)
def test_impossible_meshes_are_errors(sizes):
  with pytest.raises(errors.UserError, match="8 devices") as e:
    mesh(*sizes)
  assert e.value.key == "hardware.mesh"


@pytest.mark.parametrize(
  "shape, name, expected",
  [
    ((16, 64), "kernel", P(None, "fsdp")),
    ((64, 16), "kernel", P("fsdp")),
    ((64, 63), "kernel", P("fsdp")),
    ((128, 20, 8), "kernel", P("fsdp")),
    ((32, 32), "kernel", P(None, "fsdp")),  # of equal ones the last
    ((8,), "bias", P("fsdp")),
    ((7, 9), "kernel", None),
    ((), "scale", None),
    ((64, 7, 9), "blocks/layers/kernel", None),  # never the layers
    ((64, 8, 16), "blocks/layers/kernel", P(None, None, "fsdp")),
    ((64, 16), "blocks/layers/bias", P(None, "fsdp")),
    ((64, 16), "players/bias", P("fsdp")),
  ],
)
def test_fsdp_takes_the_largest_dimension_that_divides(shape, name, expected):
  assert sharding.fsdp_spec(shape, name, 8) == expected


def test_small_arrays_are_replicated_and_misses_recorded():
  layout = sharding.Layout(mesh(1, 8), min_size=100)
  tree = {
    "big": array(16, 16),
    "small": array(8, 8),
    "odd": array(15, 15),
    "scalar": array(),
  }
  specs = jax.tree.map(lambda s: s.spec, layout.tree(tree))
  assert specs == {
    "big": P(None, "fsdp"),
    "small": P(),
    "odd": P(),
    "scalar": P(),
  }
  assert list(layout.missed) == ["odd"]
  assert "(15, 15)" in layout.missed["odd"] and "8" in layout.missed["odd"]


def test_without_fsdp_everything_is_replicated():
  layout = sharding.Layout(mesh())
  assert layout.spec("kernel", array(64, 64)) == P()
  assert not layout.missed


def test_explicit_rules_win_and_the_first_of_them():
  rules = [
    (r"special/kernel$", ("data", "fsdp")),
    (r"kernel$", ("fsdp",)),
    (r"special", (None, "data")),
  ]
  layout = sharding.Layout(mesh(2, 4), rules, min_size=10**6)
  assert layout.spec("special/kernel", array(8, 8)) == P("data", "fsdp")
  assert layout.spec("kernel", array(8, 8)) == P("fsdp")
  assert layout.spec("special/bias", array(3, 8)) == P(None, "data")
  assert layout.spec("other", array(8, 8)) == P()


def test_a_rule_that_does_not_divide_is_recorded_and_replicates():
  layout = sharding.Layout(mesh(2, 4), [("kernel", ("fsdp",))])
  assert layout.spec("kernel", array(6, 8)) == P()
  assert "6 does not divide" in layout.missed["kernel"]


@pytest.mark.parametrize("axes", [("layer",), (None, None, "data")])
def test_a_rule_that_cannot_mean_anything_is_an_error(axes):
  layout = sharding.Layout(mesh(2, 4), [("kernel", axes)])
  with pytest.raises(errors.UserError, match="'kernel'") as e:
    layout.spec("a/kernel", array(8, 8))
  assert e.value.key == "hardware.shard_rules"


def test_optimizer_state_and_ema_lie_where_their_parameters_lie():
  kernel = array(16, 64)
  tree = {
    part: {"main": {"kernel": kernel}} for part in ("params", "opt/mu", "ema")
  }
  specs = {
    str(s.spec) for s in jax.tree.leaves(sharding.Layout(mesh(1, 8)).tree(tree))
  }
  assert len(specs) == 1


@pytest.mark.parametrize("sizes", [(8, 1), (2, 4), (1, 8)])
def test_the_batch_is_split_over_all_axes(sizes):
  made = mesh(*sizes)
  x = jax.device_put(np.arange(16), sharding.batch_sharding(made))
  starts = sorted(int(s.data[0]) for s in x.addressable_shards)
  assert starts == list(range(0, 16, 2))
  y = jax.device_put(np.arange(16), sharding.replicated(made))
  assert all(s.data.shape == (16,) for s in y.addressable_shards)


def test_batches_must_split_evenly():
  for batch, accumulate in ((8, 1), (32, 4), (24, 3)):
    sharding.check_batch(batch, accumulate, mesh(2, 4))


@pytest.mark.parametrize(
  "batch, accumulate, remedy",
  [(12, 1, "16"), (4, 1, "8"), (8, 3, "24"), (1, 1, "8"), (100, 4, "96")],
)
def test_a_batch_that_does_not_split_names_one_that_does(
  batch, accumulate, remedy
):
  with pytest.raises(errors.UserError) as e:
    sharding.check_batch(batch, accumulate, mesh(2, 4))
  assert (e.value.key, e.value.fix) == ("data.batch", f"use {remedy}")
  assert int(remedy) % (8 * accumulate) == 0


# Tensor, expert, replica, ZeRO.


@pytest.mark.parametrize(
  "name, dims, expected",
  [
    (
      "blocks/layers/attn/qkv/kernel",
      (2, 16, 48),
      P(None, None, ("tensor", "fsdp")),
    ),
    ("blocks/layers/attn/qkv/kernel", (2, 16, 18), P(None, "fsdp", "tensor")),
    ("blocks/layers/attn/proj/kernel", (2, 16, 16), P(None, "tensor", "fsdp")),
    (
      "blocks/layers/mlp/fc1/kernel",
      (2, 16, 64),
      P(None, None, ("tensor", "fsdp")),
    ),
    ("blocks/layers/mlp/fc1/bias", (2, 64), P(None, ("tensor", "fsdp"))),
    ("blocks/layers/mlp/fc2/kernel", (2, 64, 16), P(None, ("tensor", "fsdp"))),
    ("blocks/layers/norm1/scale", (2, 16), P(None, "fsdp")),
    ("patch_embed/kernel", (48, 16), P("fsdp")),
    # `qkv/bias` is small and dealt out by head: no rule.
    ("blocks/layers/attn/qkv/bias", (2, 48), P(None, "fsdp")),
    ("blocks/layers/experts/kernel", (2, 4, 16, 8), P(None, "expert", "fsdp")),
    ("experts/kernel", (4, 16, 8), P("expert", "fsdp")),
  ],
)
def test_blocks_are_split_by_name(name, dims, expected):
  made = mesh(1, 2, tensor=2, expert=2)
  layout = sharding.Layout(made)
  assert layout.spec(f"params/main/{name}", array(*dims)) == expected
  assert layout.spec(f"opt/main/mu/{name}", array(*dims)) == expected
  assert not layout.missed


def test_what_tensor_cannot_split_is_recorded():
  layout = sharding.Layout(mesh(2, 1, tensor=4))
  assert layout.spec("x/mlp/fc1/kernel", array(8, 6)) == P()
  assert "tensor=4" in layout.missed["x/mlp/fc1/kernel"]


def test_zero_splits_state_but_not_parameters():
  layout = sharding.Layout(mesh(4, 2), zero=True, min_size=16)
  kernel = array(16, 64)
  assert layout.spec("params/main/kernel", kernel) == P(None, "fsdp")
  for part in ("opt/main/mu", "ema/main", "grads/main"):
    split = layout.spec(f"{part}/kernel", kernel)
    assert split == P(None, ("fsdp", "data"))
    shape = jax.sharding.NamedSharding(layout.mesh, split).shard_shape((16, 64))
    assert shape == (16, 8)
  assert layout.spec("opt/main/mu/bias", array(4)) == P()
  whole = sharding.Layout(mesh(4, 2), min_size=16)
  assert whole.spec("opt/main/mu/kernel", kernel) == P(None, "fsdp")


def test_an_axis_may_go_where_another_is_if_the_rest_divides():
  sizes = {"fsdp": 4, "data": 3}
  add = lambda spec, shape: sharding.add_axis(
    spec, shape, name="kernel", axis="data", mesh=sizes
  )
  assert add(P("fsdp"), (24, 3)) == P(("fsdp", "data"))
  assert add(P("fsdp"), (24, 9)) == P("fsdp", "data")
  assert add(P("fsdp"), (8, 3)) == P("fsdp", "data")
  assert add(P("fsdp"), (8, 5)) is None


class Chip:
  """A device that knows its slice."""

  platform = "simulated"

  def __init__(self, number, slices):
    self.id, self.slice_index = number, number // (8 // slices)


def test_slices_become_replicas():
  chips = [Chip(i, 2) for i in range(8)]
  made = sharding.make_mesh({"data": -1, "fsdp": 2, "replica": 0}, chips)
  assert (made.shape["replica"], made.shape["data"]) == (2, 2)
  for slice_index, part in enumerate(made.devices):
    assert {d.slice_index for d in part.ravel()} == {slice_index}
  with pytest.raises(errors.UserError, match="2 slices") as e:
    sharding.make_mesh({"data": -1, "replica": 4}, chips)
  assert e.value.key == "hardware.mesh.replica"
