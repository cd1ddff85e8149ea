"""timm's VisionTransformer: its norms, and MAE's encoder."""

import converted
import kit
import numpy as np
import peers
import pytest

import jmim
from jmim.convert import exporting
from jmim.convert import families
from jmim.convert import table
from jmim.core import discovery
from jmim.core import errors
from jmim.core import validate

NAME = "timm_vit"
CASES = {
  "token": {},
  "avg": dict(pool="mean", head_norm=True, final_norm=False, layer_scale=0.5),
  "clip": dict(pre_norm=True, patch_bias=False, act="quick_gelu"),
  "unbiased": dict(qkv_bias=False, cls=False, pool="mean"),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check(NAME, kit.tiny("vit", **CASES[case]))
  names = set(written.theirs)
  assert ("fc_norm.weight" in names) == (case == "avg")
  assert ("norm.weight" in names) == (case != "avg")
  assert ("norm_pre.weight" in names) == (case == "clip")
  assert ("patch_embed.proj.bias" in names) == (case != "clip")
  assert ("blocks.0.attn.qkv.bias" in names) == (case != "unbiased")


@pytest.mark.parametrize("case", CASES)
def test_config(case):
  method = kit.tiny("vit", **CASES[case])
  config = kit.check_config(NAME, method, "encoder", "head")
  assert config["model_args"]["fc_norm"] == (case == "avg")


def test_a_name_says_the_sizes():
  read = families.find(NAME).read_config
  fields = read({"architecture": "vit_small_patch14_224.dino"})
  assert fields["variant"] == "B/14" and fields["width"] == 384
  with pytest.raises(errors.UserError, match="vit_so400m"):
    read({"architecture": "vit_so400m_patch14_224"})


@pytest.mark.parametrize(
  "fields, seen",
  [
    (dict(act="swiglu"), "--format=authors writes DINOv2's"),
    (dict(pool="cls_mean"), "pool='cls_mean'"),
    (dict(patch_bias=False), "patch_bias"),
    (dict(head_norm=True), "one norm"),
    (dict(registers=2), "registers=2"),
    (dict(eps=1e-5), "eps=1e-05"),
  ],
)
def test_what_it_cannot_be(fields, seen):
  method = kit.tiny("vit", **fields)
  family = families.find(NAME)
  assert seen in family.objection("supervised.backbone", method)


@pytest.mark.parametrize("name", ["mim.mae", "mim.colormae"])
def test_of_mae_the_encoder_has_a_place(name):
  written = kit.check("timm_mae", kit.tiny(name))
  every = set(written.like)
  assert {n.split("/")[2] for n in every - set(written.ours)} == {"decoder"}
  config = written.family.write_config(written.method)
  assert config["num_classes"] == 0
  assert families.detect(config) == NAME  # which reads it without a head


LIBRARY = {
  "token": dict(global_pool="token"),
  "avg": dict(global_pool="avg", init_values=0.5),
  "clip": dict(pre_norm=True, class_token=True, act_layer="quick_gelu"),
}


@pytest.mark.parametrize("case", LIBRARY)
def test_the_library_computes_the_same(tmp_path, case):
  args = peers.TIMM | LIBRARY[case]
  peers.check_timm(tmp_path, NAME, "vit_base_patch16_224", args)


@pytest.mark.parametrize(
  "architecture", ["vit_small_patch16_224", "vit_large_patch14_224"]
)
def test_the_library_has_the_same_shapes(architecture):
  timm, family = peers.timm(), families.find(NAME)
  with peers.torch().device("meta"):
    state = timm.create_model(architecture).state_dict()
  fields = family.read_config(
    {"architecture": architecture, "num_classes": 1000}
  )
  cls = discovery.find("supervised.backbone")
  method = validate.build(cls, fields, "method")
  expected = table.shapes(family.table(method), kit.shapes(method))
  assert {n: tuple(x.shape) for n, x in state.items()} == expected


def test_an_exported_folder_is_all_timm_needs(tmp_path):
  timm = peers.timm()
  run = converted.workdir(tmp_path, "supervised.backbone", NAME, **kit.VIT)
  exporting.run(run, "timm", tmp_path / "hub")
  model = jmim.load(tmp_path / "hub")
  theirs = timm.create_model(f"local-dir:{tmp_path / 'hub'}", pretrained=True)
  x = peers.channels_first(model.preprocess([converted.PICTURE]))
  want = model("logits", [converted.PICTURE])
  np.testing.assert_allclose(peers.run(theirs, x).numpy(), want, atol=1e-4)
  data = timm.data.resolve_model_data_config(theirs)
  assert list(data["mean"]) == [0.1, 0.2, 0.3]
