"""Meshes and layouts on eight simulated devices."""

import jax
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import tree as trees
from jmim.core.settings import optim as settings
from jmim.parallel import sharding
from jmim.training import optim

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


def test_small_arrays_are_replicated_and_misses_recorded():
  layout = sharding.Layout(mesh(1, 8), min_size=100)
  tree = {
    "big": array(16, 16),
    "small": array(8, 8),
    "odd": array(15, 15),
    "scalar": array(),
  }
  shardings, missed = layout.plan(tree)
  specs = jax.tree.map(lambda s: s.spec, shardings)
  assert specs == {
    "big": P(None, "fsdp"),
    "small": P(),
    "odd": P(),
    "scalar": P(),
  }
  assert list(missed) == ["odd"]
  assert "(15, 15)" in missed["odd"] and "8" in missed["odd"]
  assert layout.plan(tree) == (shardings, missed)  # looking changes nothing


def test_without_fsdp_everything_is_replicated():
  layout = sharding.Layout(mesh())
  assert layout.place("kernel", array(64, 64)) == (P(), "")


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
  spec, reason = layout.place("kernel", array(6, 8))
  assert spec == P() and "6 does not divide" in reason


@pytest.mark.parametrize("axes", [("layer",), (None, None, "data")])
def test_a_rule_that_cannot_mean_anything_is_an_error(axes):
  layout = sharding.Layout(mesh(2, 4), [("kernel", axes)])
  with pytest.raises(errors.UserError, match="'kernel'") as e:
    layout.spec("a/kernel", array(8, 8))
  assert e.value.key == "hardware.shard_rules"


@pytest.mark.parametrize(
  "axes, expected, reason",
  [
    ((None, "expert"), P(None, "expert"), ""),
    ((None, "expert", "nowhere"), P(None, "expert"), ""),  # a mesh without it
    (("nowhere",), P(), ""),
    (("expert", "data"), P(None, "data"), "3 does not divide over 'expert'"),
  ],
)
def test_a_method_knows_no_mesh_and_asks_for_what_may_not_be(
  axes, expected, reason
):
  """What is possible of its rule is done, and the default rule is not used."""
  made = mesh(2, 2, expert=2)
  layout = sharding.Layout(made, axes=[("experts/", axes)])
  spec, missed = layout.place("experts/kernel", array(3, 4, 8))
  assert spec == expected and reason in missed and bool(missed) == bool(reason)
  assert layout.spec("other/kernel", array(3, 4)) == P(None, "fsdp")
  strict = sharding.Layout(made, [("experts/", axes)])
  if "nowhere" in axes:
    with pytest.raises(errors.UserError, match="nowhere"):
      strict.spec("experts/kernel", array(3, 4, 8))


def test_the_rules_of_the_user_come_before_those_of_the_method():
  layout = sharding.Layout(
    mesh(2, 4), [("kernel", ("fsdp",))], axes=[("kernel", ("data",))]
  )
  assert layout.spec("kernel", array(8, 8)) == P("fsdp")


def test_a_method_with_more_axes_than_dimensions_is_mistaken():
  layout = sharding.Layout(mesh(), axes=[("bias", ("data", None))])
  with pytest.raises(ValueError, match="axes.. has .*for bias"):
    layout.spec("bias", array(8))


def test_optimizer_state_and_ema_lie_where_their_parameters_lie():
  kernel = array(16, 64)
  tree = {
    part: {"main": {"kernel": kernel}} for part in ("params", "opt/mu", "ema")
  }
  specs = {
    str(s.spec) for s in jax.tree.leaves(sharding.Layout(mesh(1, 8)).tree(tree))
  }
  assert len(specs) == 1


@pytest.mark.parametrize("name, arrays", [("adamw", 2), ("adan", 4)])
def test_every_array_of_an_optimizer_lies_where_its_parameter_lies(
  name, arrays
):
  params = {"main": {"dense": {"kernel": array(16, 64), "bias": array(64)}}}
  cfg = settings.Optim(name=name)
  made = optim.make(cfg, params, groups=(), schedule=lambda step: 1e-3)
  state = jax.eval_shape(made.init, params)
  layout = sharding.Layout(mesh(1, 8), min_size=64)
  where = layout.tree({"opt": state, "params": params})
  for leaf in ("kernel", "bias"):
    found = [
      str(s.spec)
      for n, s in trees.named(where).items()
      if n.endswith(f"dense/{leaf}")
    ]
    assert len(found) == arrays + 1 and len(set(found)) == 1
    assert "fsdp" in found[0]


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
  for part in ("params/main", "opt/main/mu"):
    found = layout.place(f"{part}/{name}", array(*dims))
    assert found == (expected, "")


def test_what_tensor_cannot_split_is_recorded():
  layout = sharding.Layout(mesh(2, 1, tensor=4))
  spec, reason = layout.place("x/mlp/fc1/kernel", array(8, 6))
  assert spec == P() and "tensor=4" in reason


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


def test_gradients_lie_as_the_moments_they_change():
  """Inside a step; what cannot be split is no matter there."""
  layout = sharding.Layout(mesh(4, 2), zero=True)
  grads = {"main": {"kernel": array(16, 64), "odd": array(7)}}
  compiled = jax.jit(lambda g: layout.gradients(g)).lower(grads).compile()
  found = {k: x.spec for k, x in compiled.output_shardings["main"].items()}
  assert found == {"kernel": P(None, ("fsdp", "data")), "odd": P()}


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
