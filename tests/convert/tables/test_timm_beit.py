"""BEiT of timm: the authors' names without indices."""

import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.convert import table
from jmim.core import discovery
from jmim.core import errors
from jmim.core import validate

NAME = "timm_beit"
CASES = {
  "block": kit.BEIT | kit.BEIT_MEAN,
  "shared": kit.BEIT | dict(relative="shared", positions="learned"),
  "unbiased": kit.BEIT | kit.BEIT_MEAN | dict(qkv_bias=False, layer_scale=0.0),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check(NAME, kit.tiny("vit", **CASES[case]))
  authors = kit.export("beit", written.method).theirs
  index = {n for n in authors if n.endswith("relative_position_index")}
  assert authors.keys() - written.theirs.keys() == index != set()


@pytest.mark.parametrize("case", CASES)
def test_config(case):
  config = kit.check_config(
    NAME, kit.tiny("vit", **CASES[case]), "encoder", "head"
  )
  args = config["model_args"]
  assert args["use_rel_pos_bias"] == (case != "shared")
  assert args["global_pool"] == ("token" if case == "shared" else "avg")


def test_a_name_says_the_sizes():
  read = families.find(NAME).read_config
  fields = read({"architecture": "beitv2_large_patch16_224.in1k"})
  assert fields["width"] == 1024 and fields["depth"] == 24
  assert fields["relative"] == "block" and fields["pool"] == "mean"
  with pytest.raises(errors.UserError, match="_nano_"):
    read({"architecture": "beit_nano_patch4"})
  with pytest.raises(errors.UserError, match="swiglu_mlp=True"):
    read(
      {
        "architecture": "beit_base_patch16_224",
        "model_args": {"swiglu_mlp": True},
      }
    )


LIBRARY = {
  "block": dict(use_rel_pos_bias=True, init_values=0.5),
  "shared": dict(
    use_rel_pos_bias=False,
    use_shared_rel_pos_bias=True,
    use_abs_pos_emb=True,
    init_values=0.0,
    global_pool="token",
    qkv_bias=False,
  ),
}


@pytest.mark.parametrize("case", LIBRARY)
def test_the_library_computes_the_same(tmp_path, case):
  args = peers.TIMM | LIBRARY[case]
  peers.check_timm(tmp_path, NAME, "beit_base_patch16_224", args)


def test_the_library_has_the_same_shapes():
  timm, family = peers.timm(), families.find(NAME)
  name = "beit_large_patch16_384"
  with peers.torch().device("meta"):
    state = timm.create_model(name).state_dict()
  fields = family.read_config({"architecture": name, "num_classes": 1000})
  cls = discovery.find("supervised.backbone")
  method = validate.build(cls, fields, "method")
  expected = table.shapes(family.table(method), kit.shapes(method))
  assert {n: tuple(x.shape) for n, x in state.items()} == expected


def test_layer_scales_are_gammas():
  written = kit.export(NAME, kit.tiny("vit", **kit.BEIT))
  np.testing.assert_array_equal(
    written.theirs["blocks.1.gamma_2"],
    written.ours["params/main/encoder/blocks/layers/ls2/gamma"][1],
  )
