"""DINOv2 of Transformers: LayerScale, registers, a whole mlp_ratio."""

import jax
import kit
import numpy as np
import peers
import pytest

from jmim.convert import families
from jmim.convert.tables import hf_dinov2 as tables
from jmim.core import method as methods
from jmim.nn import posemb

PLAIN = dict(layer_scale=0.5, pool="cls_mean")
GIANT = PLAIN | dict(act="swiglu", mlp_ratio=2.75)  # 88, of a ratio of 4
REGISTERS = PLAIN | dict(registers=3)
CASES = {
  "plain": ("hf_dinov2", PLAIN),
  "giant": ("hf_dinov2", GIANT),
  "unbiased": ("hf_dinov2", PLAIN | dict(qkv_bias=False)),
  "registers": ("hf_dinov2_with_registers", REGISTERS),
}


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  name, fields = CASES[case]
  written = kit.check(name, kit.tiny("vit", **fields))
  stem = name.removeprefix("hf_")
  assert all(n.startswith((f"{stem}.", "classifier.")) for n in written.theirs)
  gated = f"{stem}.encoder.layer.0.mlp.weights_in.weight" in written.theirs
  assert gated == (case == "giant")


@pytest.mark.parametrize("case", CASES)
def test_config(case):
  name, fields = CASES[case]
  method = kit.tiny("vit", **fields)
  config = kit.check_config(name, method, "encoder", "head")
  assert config["mlp_ratio"] == 4 and "intermediate_size" not in config
  assert config["use_swiglu_ffn"] == (case == "giant")


def test_a_mask_token_is_written_and_not_read():
  written = kit.export("hf_dinov2", kit.tiny("vit", **PLAIN))
  name = "dinov2.embeddings.mask_token"
  assert not written.theirs[name].any()
  made, _ = kit.load(written, written.theirs | {name: np.ones((1, 32))})
  assert made.ignored == [name]


@pytest.mark.parametrize(
  "width, ratio, hidden", [(384, 4, 1024), (1536, 4, 4096)]
)
def test_swiglu_is_two_thirds_as_wide(width, ratio, hidden):
  assert tables.swiglu_hidden(width, ratio) == hidden


def test_a_ratio_that_is_not_whole_is_refused():
  odd = kit.tiny("vit", **PLAIN | dict(mlp_ratio=2.6))
  assert tables.whole_ratio(odd) == 0
  assert "whole number" in tables.objection(odd)
  assert tables.whole_ratio(kit.tiny("vit", **PLAIN, mlp_ratio=3.0)) == 3
  bare = kit.tiny("vit", pool="cls_mean")
  assert "layer_scale=0" in tables.objection(bare)
  assert "registers=0" in tables.registers_objection(kit.tiny("vit", **PLAIN))


@pytest.mark.parametrize(
  "name, model, fields",
  [
    ("hf_dinov2", "Dinov2", {}),
    ("hf_dinov2", "Dinov2", dict(use_swiglu_ffn=True)),
    (
      "hf_dinov2_with_registers",
      "Dinov2WithRegisters",
      dict(num_register_tokens=3),
    ),
  ],
)
def test_the_library_computes_the_same(tmp_path, name, model, fields):
  library = peers.transformers()
  sizes = {k: v for k, v in peers.HF.items() if k != "intermediate_size"}
  config = getattr(library, f"{model}Config")(
    **sizes, mlp_ratio=3, layerscale_value=0.5, num_labels=5, **fields
  )
  cls = getattr(library, f"{model}ForImageClassification")
  made = peers.check_hf(peers.shake(cls(config)), name, tmp_path)
  assert not made.fresh
  assert all(n.endswith("mask_token") for n in made.ignored)


@pytest.mark.parametrize("case", ["plain", "registers"])
def test_positions_of_another_size_go_in_and_out_as_they_are(case):
  """The table is that of the file; the network reads it resized."""
  name, fields = CASES[case]
  method = kit.tiny("vit", size=8, table_size=16, **fields)
  written = kit.check(name, method)
  stem = name.removeprefix("hf_")
  table = written.theirs[f"{stem}.embeddings.position_embeddings"]
  assert table.shape == (1, 1 + 16, 32)
  family = families.find(name)
  config = family.write_config(method)
  assert config["image_size"] == 16
  read = family.resized(family.read_config(config), 8)
  assert (read["size"], read["table_size"]) == (8, 16)


@pytest.mark.parametrize("registers", [0, 2])
def test_positions_of_another_size_are_resized_in_the_network(registers):
  fields = PLAIN | dict(registers=registers)
  large, small = (
    kit.tiny("vit", size=8, table_size=side, **fields) for side in (16, 0)
  )
  x = np.random.default_rng(0).normal(size=(2, 8, 8, 3)).astype("f4")
  params, _ = jax.jit(large.init)(jax.random.key(0), {"image": x})
  table = jax.random.normal(jax.random.key(1), (1, 17, 32))
  params["main"]["encoder"]["pos_embed"] = table
  resized = posemb.resize(table, (4, 4), (2, 2), 1, antialias=registers > 0)
  other = jax.tree.map(lambda a: a, params)
  other["main"]["encoder"]["pos_embed"] = resized
  tokens = [
    m.predict()["cls"](methods.Weights(p), {"image": x}, None)
    for m, p in ((large, params), (small, other))
  ]
  np.testing.assert_allclose(*tokens, rtol=1e-5, atol=1e-5)


def test_a_size_of_the_table_without_a_table_is_refused():
  for changes in (dict(table_size=18), dict(positions="rotary")):
    method = kit.tiny("vit", **(dict(table_size=16) | changes))
    with pytest.raises(ValueError, match="table_size"):
      method.inputs()
