"""Swin of timm: merging before a stage, "head.fc"; SimMIM's backbone."""

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
from jmim.core import tree as trees
from jmim.core import validate

NAME, METHOD = "timm_swin", "supervised.swin"
ARGS = dict(
  img_size=16,
  patch_size=2,
  embed_dim=8,
  depths=[2, 2],
  num_heads=[2, 4],
  window_size=4,
  mlp_ratio=3.0,
)


def test_names_and_arrays():
  written = kit.check(NAME, kit.tiny(METHOD))
  merge = written.ours["params/main/encoder/merge0/reduction/kernel"]
  np.testing.assert_array_equal(
    written.theirs["layers.1.downsample.reduction.weight"], merge.T
  )
  assert "head.fc.weight" in written.theirs


def test_of_simmim_only_the_backbone_has_a_place():
  written = kit.check(NAME, kit.tiny("mim.simmim", **kit.SIMMIM_SWIN))
  every = set(written.like)
  assert every - set(written.ours) == {
    "params/main/encoder/mask_token",
    "params/main/head/kernel",
    "params/main/head/bias",
  }


@pytest.mark.parametrize("bias", [True, False])
def test_config(bias):
  method = kit.tiny(METHOD, qkv_bias=bias)
  config = kit.check_config(NAME, method, "encoder", "head")
  assert config["classifier"] == "head.fc" and config["num_features"] == 32


def test_a_name_says_the_sizes():
  fields = families.find(NAME).read_config(
    {"architecture": "swin_base_patch4_window12_384.ms_in22k"}
  )
  assert fields["width"] == 128 and fields["depths"] == (2, 2, 18, 2)
  assert fields["window"] == 12 and fields["size"] == 384
  with pytest.raises(errors.UserError, match="swin_nano"):
    families.find(NAME).read_config({"architecture": "swin_nano_patch4"})
  with pytest.raises(errors.UserError, match="global_pool='max'"):
    families.find(NAME).read_config(
      {
        "architecture": "swin_tiny_patch4_window7_224",
        "model_args": {"global_pool": "max"},
      }
    )


@pytest.mark.parametrize("bias", [True, False])
def test_the_library_computes_the_same(tmp_path, bias):
  args = ARGS | dict(qkv_bias=bias)
  peers.check_timm(tmp_path, NAME, "swin_base_patch4_window7_224", args)


@pytest.mark.parametrize(
  "architecture",
  ["swin_tiny_patch4_window7_224", "swin_large_patch4_window12_384"],
)
def test_the_library_has_the_same_shapes(architecture):
  timm, family = peers.timm(), families.find(NAME)
  with peers.torch().device("meta"):
    state = timm.create_model(architecture).state_dict()
  fields = family.read_config(
    {"architecture": architecture, "num_classes": 1000}
  )
  method = validate.build(discovery.find(METHOD), fields, "method")
  expected = table.shapes(family.table(method), kit.shapes(method))
  assert {n: tuple(x.shape) for n, x in state.items()} == expected


def test_the_library_loads_the_backbone_of_simmim(tmp_path):
  peers.timm()
  written = kit.export(NAME, kit.tiny("mim.simmim", **kit.SIMMIM_SWIN))
  config = written.family.write_config(written.method)
  peers.save(tmp_path / "ours", config, written.theirs)
  theirs = peers.retimm(config, tmp_path / "ours").eval()
  ours, x = peers.images()
  with peers.torch().no_grad():
    want = theirs.forward_features(x).numpy()
  net = written.method.encoder.clone(maskable=False)
  encoder = trees.nested(written.ours)["params"]["main"]["encoder"]
  got = net.apply({"params": encoder}, ours)["latent"]
  scale = np.abs(want).max()
  np.testing.assert_allclose(got, want.reshape(got.shape), atol=1e-4 * scale)


def test_an_exported_folder_is_all_timm_and_transformers_need(tmp_path):
  library = peers.transformers()
  fields = dict(
    variant="SwinT/2",
    size=16,
    width=8,
    depths=(2, 2),
    heads=(2, 4),
    window=4,
    classes=6,
    mixup=0.0,
    cutmix=0.0,
  )
  run = converted.workdir(tmp_path, METHOD, NAME, **fields)
  want = jmim.load(run)("logits", [converted.PICTURE])
  for format_ in ("timm", "hf"):
    exporting.run(run, format_, tmp_path / format_)
  x = jmim.load(tmp_path / "timm").preprocess([converted.PICTURE])
  x = peers.channels_first(x)
  folder = f"local-dir:{tmp_path / 'timm'}"
  theirs = peers.timm().create_model(folder, pretrained=True)
  auto = library.AutoModelForImageClassification
  other = auto.from_pretrained(tmp_path / "hf")
  np.testing.assert_allclose(peers.run(theirs, x).numpy(), want, atol=1e-4)
  logits = peers.run(other, x).logits.numpy()
  np.testing.assert_allclose(logits, want, atol=1e-4)
