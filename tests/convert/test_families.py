"""All families: found by walking, detected, and which one an export takes."""

import pathlib
import re
import sys
import types

import kit
import pytest

from jmim.convert import families
from jmim.convert import family
from jmim.core import discovery
from jmim.core import errors
from jmim.nn import sizes
from jmim.nn.nets import vit

ROOT = pathlib.Path(__file__).parents[2]
TABLES = ROOT / "jmim/convert/tables"


def files():
  return [p for p in sorted(TABLES.glob("*.py")) if p.name[0] != "_"]


def module(name, **entries):
  return types.SimpleNamespace(__name__=name, FAMILIES=entries)


def some(**fields):
  settings = dict(library="hf", methods=("a.b",), table=lambda m: [])
  return family.Family(**settings | fields)


def test_families_of_all_files_are_in_alphabetical_order():
  one, two, three = some(), some(), some()
  known = families.collect([module("x", b=one, c=two), module("y", a=three)])
  assert list(known.items()) == [("a", three), ("b", one), ("c", two)]


def test_a_name_in_two_files_is_an_error_that_names_both():
  with pytest.raises(ValueError, match="'a' is in x and in y"):
    families.collect([module("x", a=some()), module("y", a=some())])


def test_each_file_of_tables_ends_with_its_families():
  ends = {p.stem: p.read_text().split("\n\n\n")[-1] for p in files()}
  assert len(ends) > 25
  # Tables of fixed fields may stand just before.
  assert not [
    n for n, end in ends.items() if "\nFAMILIES = {" not in f"\n{end}"
  ]


def test_each_file_of_tables_has_its_test():
  tests = pathlib.Path(__file__).parent / "tables"
  stems = {p.stem.removeprefix("test_") for p in tests.glob("test_*.py")}
  # Those that begin with "_" have what several tables share, and no family.
  shared = {p.stem.strip("_") for p in TABLES.glob("_*.py")}
  assert stems - {p.stem for p in files()} <= shared
  assert {p.stem for p in files()} <= stems


def test_methods_of_all_families_exist():
  for name in families.names():
    for method in families.find(name).methods:
      assert discovery.module_exists(f"jmim.methods.{method}"), name


def test_all_families_are_documented():
  text = (ROOT / "docs/weights.md").read_text()
  assert [n for n in families.names() if f"`{n}`" not in text] == []


def test_an_unknown_name_lists_the_known_ones():
  with pytest.raises(errors.UserError, match="hf_vit_mae"):
    families.find("vit_mea")


def test_no_two_families_are_detected_by_one_word():
  for field in ("architectures", "model_types", "timm_names"):
    words = [
      w for n in families.names() for w in getattr(families.find(n), field)
    ]
    assert len(words) == len(set(words)), field


def test_what_is_detected_can_be_read():
  for name in families.names():
    found = families.find(name)
    if found.architectures or found.model_types or found.timm_names:
      assert found.read_config is not None, name


@pytest.mark.parametrize(
  "config, name",
  [
    ({"model_type": "vit_mae"}, "hf_vit_mae"),
    ({"model_type": "clip_vision_model"}, "hf_clip"),
    ({"_class_name": "AutoencoderKL"}, "diffusers_vae"),
    ({"model_type": "swin", "architectures": ["SwinModel"]}, "hf_swin"),
    (
      {"model_type": "swin", "architectures": ["SwinForImageClassification"]},
      "hf_swin_classifier",
    ),
    ({"architecture": "beitv2_base", "num_features": 8}, "timm_beit"),
    ({"architecture": "vit_base", "num_features": 8}, "timm_vit"),
    ({"architecture": "resnet_50", "num_features": 8}, ""),
    # A config.json of something else that has a word of timm's.
    ({"architecture": "vit_base", "model_type": "vit"}, "hf_vit"),
    ({"model_type": "bert", "architectures": None}, ""),
    ({}, ""),
  ],
)
def test_a_config_tells_its_family(config, name):
  assert families.detect(config) == name


def test_words_of_a_config_are_listed():
  words = families.detectable()
  assert words == sorted(words)
  assert {"vit_mae", "AutoencoderKL", "SwinForImageClassification"} < set(words)


CLIP = dict(pre_norm=True, patch_bias=False, head_bias=False)


def test_a_method_that_does_not_exist_there_is_refused():
  method, name = kit.tiny("vit", **CLIP), "supervised.backbone"
  with pytest.raises(errors.UserError, match="big_vision: pre_norm=True"):
    families.for_export("big_vision", name, method)
  assert families.for_export("hf", name, method)[0] == "hf_clip"
  # Each family of this method says why; others are not named.
  with pytest.raises(errors.UserError, match="hf_beit: registers=2") as e:
    families.for_export("hf", name, kit.tiny(name))
  assert "hf_vit: " in str(e.value) and "hf_vit_mae" not in str(e.value)


VITS = {
  "dinov2": dict(registers=2, layer_scale=0.5),
  "dinov3": dict(
    positions="rotary", registers=2, layer_scale=0.5, key_bias=False
  ),
  "beit": dict(key_bias=False, positions="none", relative="block"),
  "open_clip": CLIP,
  "plain": {},
  "ijepa": dict(cls=False, pool="mean"),
  "hf_dinov2": dict(layer_scale=0.5, pool="cls_mean", mlp_ratio=4.0),
}


@pytest.mark.parametrize("case", VITS)
@pytest.mark.parametrize("library", ["authors", "hf", "timm"])
def test_no_vit_fits_two_families_of_a_library(case, library):
  """Else which one is written would hang on the order of names."""
  method = kit.tiny("vit", **VITS[case])
  fitting = [
    n
    for n in families.names()
    if families.find(n).library == library
    and families.find(n).objection("supervised.backbone", method) is None
  ]
  assert len(fitting) <= 1


def test_the_highest_priority_is_exported(monkeypatch):
  known = {"a": some(), "b": some(priority=1), "c": some(library="timm")}
  monkeypatch.setattr(families, "_all", lambda: known)
  assert families.for_export("hf", "a.b", None) == ("b", known["b"])
  assert families.for_export("timm", "a.b", None)[0] == "c"


def test_the_documented_table_is_one(monkeypatch):
  text = (ROOT / "docs/weights.md").read_text()
  (code,) = re.findall(r'```python\n("""Weights of.*?)```', text, re.DOTALL)
  package = types.ModuleType("my_lab")
  package.denoise = types.SimpleNamespace(Denoise=object)
  monkeypatch.setitem(sys.modules, "my_lab", package)
  exec(code, entries := {})
  documented = entries["FAMILIES"]["denoise"]
  size = sizes.Size(width=32, depth=1, heads=2)
  net = vit.ViT(size=size, patch=4, grid=(2, 2), cls=False)
  rules = documented.table(types.SimpleNamespace(encoder=net))
  names = {r.ours: r.theirs for r in rules}
  assert names["params/main/head/kernel"] == "head.weight"
  ours = "params/main/encoder/blocks/layers/attn/qkv/kernel"
  assert names[ours] == "blocks.{i}.attn.qkv.weight"
