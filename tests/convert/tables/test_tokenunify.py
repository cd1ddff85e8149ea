"""TokenUnify: layouts of volumes, two methods, and a head that may be there."""

import dataclasses

import kit
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert.tables import tokenunify


@pytest.fixture(scope="module")
def written():
  return kit.check("tokenunify", kit.tiny("mim.tokenunify"))


def test_names_are_those_of_the_golden_files(written):
  names = set(written.theirs)
  assert {
    "vit.downsample_layers.0.0.weight",
    "vit.stages.0.1.mamba.A_b_log",
    "vit.stages.0.0.mamba.conv1d_s.weight",
    "vit.gscs.0.proj4.bias",
    "vit.mlps.0.fc2.weight",
    "encoder1.layer.conv3.conv.weight",
    "decoder2.transp_conv.conv.weight",
    "decoder1.layer.conv2.conv.weight",
    "out.conv.conv.bias",
  } <= names
  # As wide as the level it reads: nothing to map.
  assert "encoder2.layer.conv3.conv.weight" not in names


def test_later_stages_begin_with_a_norm():
  dims = dict(widths=(4, 6), depths=(1, 1), hidden=8)
  two = kit.tiny("mim.tokenunify", dims=dims)
  names = set(kit.check("tokenunify", two).theirs)
  assert "vit.downsample_layers.1.1.weight" in names
  assert {f"decoder{i}.transp_conv.conv.weight" for i in (2, 3)} <= names


def test_a_convolution_of_volumes_is_turned_around(normal):
  x = normal(2, 3, 4, 5, 6)
  ours = tokenunify.CONV3D.to_ours(x)
  assert ours[1, 2, 3, 1, 0] == x[0, 1, 1, 2, 3]
  np.testing.assert_array_equal(tokenunify.CONV3D.to_theirs(ours), x)


def test_a_transposed_convolution_is_a_linear_map(normal):
  """Voxel (p, q, r) of the box and channel o, o fastest."""
  x = normal(3, 5, 2, 2, 2)
  ours = tokenunify.UP.to_ours(x)
  assert ours.shape == (3, 40)
  assert ours[1, ((1 * 2 + 0) * 2 + 1) * 5 + 4] == x[1, 4, 1, 0, 1]
  np.testing.assert_array_equal(tokenunify.UP.to_theirs(ours), x)


HEAD = {
  "preciever.conv1.weight": (12, 1, 3, 3, 3),
  "preciever.conv1.bias": (12,),
  "preciever.conv2.weight": (12, 12, 3, 3, 3),
  "preciever.conv2.bias": (12,),
  "preciever.conv3.weight": (1, 12, 3, 3, 3),
  "preciever.conv3.bias": (1,),
  "preciever.mlp.weight": (32, 1),
  "preciever.mlp.bias": (32,),
}


def test_files_of_pre_training_hold_the_head_for_the_next_token(written):
  own = {n: x.shape for n, x in written.theirs.items() if n in HEAD}
  assert own == HEAD
  made, leaves = kit.load(written)
  assert not made.fresh and not made.ignored
  mlp = written.theirs["preciever.mlp.weight"]
  np.testing.assert_array_equal(leaves["params/main/next/out/kernel"], mlp.T)


def test_without_it_the_head_stays_fresh(written):
  net = {n: x for n, x in written.theirs.items() if n not in HEAD}
  made, leaves = kit.load(written, net)
  assert len(made.fresh) == len(HEAD)
  assert all(n.startswith("params/main/next/") for n in made.fresh)
  assert all("/net/" in n for n in leaves)


def test_the_same_network_segments():
  method = kit.tiny("supervised.voxel_affinity")
  written = kit.check("tokenunify", method)
  assert written.theirs["out.conv.conv.weight"].shape[0] == 3
  family = families.find("tokenunify")
  assert family.objection("supervised.voxel_affinity", method) is None
  # It passes over the head of files of pre-training.
  head = {n: np.zeros(s, np.float32) for n, s in HEAD.items()}
  made, leaves = kit.load(written, written.theirs | head)
  assert made.ignored == sorted(HEAD) and not made.fresh
  assert leaves.keys() == written.ours.keys()


def test_sizes_of_a_method_say_which_arrays_there_are():
  method = kit.tiny("mim.tokenunify")
  deeper = dataclasses.replace(method.dims, widths=(8, 8), depths=(2, 2))
  a, b = (len(tokenunify.network(dims)) for dims in (method.dims, deeper))
  assert b > a
