"""ViT and I-JEPA of Transformers: q, k and v apart, a config.json."""

import converted
import kit
import numpy as np
import peers
import pytest

import jmim
from jmim.convert import exporting

IJEPA = dict(cls=False, pool="mean")
NAMES = {"hf_vit": {}, "hf_ijepa": IJEPA}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("bias", [True, False])
def test_names_and_arrays(name, bias):
  written = kit.check(name, kit.tiny("vit", qkv_bias=bias, **NAMES[name]))
  stem = "vit" if name == "hf_vit" else "ijepa"
  assert all(n.startswith((f"{stem}.", "classifier.")) for n in written.theirs)
  assert (f"{stem}.embeddings.cls_token" in written.theirs) == (
    name == "hf_vit"
  )


@pytest.mark.parametrize("name", NAMES)
def test_config(name):
  method = kit.tiny("vit", eps=1e-5, mlp_ratio=3.0, **NAMES[name])
  config = kit.check_config(name, method, "encoder", "head")
  assert config["intermediate_size"] == 96
  assert len(config["id2label"]) == 6


def test_q_k_and_v_are_side_by_side_here():
  written = kit.export("hf_vit", kit.tiny("vit"))
  kernel = written.ours["params/main/encoder/blocks/layers/attn/qkv/kernel"]
  for i, name in enumerate(("query", "key", "value")):
    theirs = f"vit.encoder.layer.1.attention.attention.{name}.weight"
    part = kernel[1][:, 32 * i : 32 * (i + 1)]
    np.testing.assert_array_equal(written.theirs[theirs], part.T)


def test_a_model_without_its_classifier_is_read():
  written = kit.export("hf_vit", kit.tiny("vit"))
  file = {
    n.removeprefix("vit."): x
    for n, x in written.theirs.items()
    if n.startswith("vit.")
  }
  file["pooler.dense.bias"] = np.zeros(32)
  made, leaves = kit.load(written, file)
  assert {n.split("/")[2] for n in made.fresh} == {"head"}
  assert made.ignored == ["pooler.dense.bias"]
  for name, array in leaves.items():
    np.testing.assert_array_equal(array, written.ours[name])


@pytest.mark.parametrize(
  "name, config, model",
  [("hf_vit", "ViTConfig", "ViT"), ("hf_ijepa", "IJepaConfig", "IJepa")],
)
def test_the_library_computes_the_same(tmp_path, name, config, model):
  library = peers.transformers()
  cls = getattr(library, f"{model}ForImageClassification")
  config = getattr(library, config)(**peers.HF, num_labels=5)
  made = peers.check_hf(peers.shake(cls(config)), name, tmp_path)
  assert not made.fresh


def test_the_library_computes_the_same_without_a_head(tmp_path):
  library = peers.transformers()
  theirs = peers.shake(library.ViTModel(library.ViTConfig(**peers.HF)))
  theirs.save_pretrained(tmp_path)
  method, params, made = peers.read_folder("hf_vit", tmp_path)
  assert {n.split("/")[2] for n in made.fresh} == {"head"}
  assert made.ignored == ["pooler.dense.bias", "pooler.dense.weight"]
  ours, x = peers.images()
  want = peers.run(theirs, x).last_hidden_state
  got = peers.latent(method, params, ours)
  np.testing.assert_allclose(got, want.numpy(), atol=1e-4)


def test_an_exported_folder_is_all_transformers_needs(tmp_path):
  library = peers.transformers()
  run = converted.workdir(
    tmp_path, "supervised.backbone", "timm_vit", **kit.VIT
  )
  exporting.run(run, "hf", tmp_path / "hub")
  want = jmim.load(run)("logits", [converted.PICTURE])
  auto = library.AutoModelForImageClassification
  theirs = auto.from_pretrained(tmp_path / "hub")
  processor = library.AutoImageProcessor.from_pretrained(tmp_path / "hub")
  x = processor(converted.PICTURE, return_tensors="pt")["pixel_values"]
  ours = jmim.load(tmp_path / "hub").preprocess([converted.PICTURE])
  # Their resize is torchvision's, ours Pillow's: rounding of pixels apart.
  np.testing.assert_allclose(
    np.moveaxis(x.numpy(), 1, -1), ours, atol=2.1 / 255 / 0.5
  )
  got = peers.run(theirs, peers.channels_first(ours)).logits.numpy()
  np.testing.assert_allclose(got, want, atol=1e-4)
  base = library.AutoModel.from_pretrained(
    tmp_path / "hub", add_pooling_layer=False
  )
  assert type(base).__name__ == "ViTModel"
