"""BEiT of Transformers: lambdas, a pooler's norm, indices computed there."""

import kit
import numpy as np
import peers
import pytest

CASES = {
  "block": kit.BEIT | kit.BEIT_MEAN,
  "shared": kit.BEIT | dict(relative="shared", layer_scale=0.0),
  "absolute": kit.BEIT
  | kit.BEIT_MEAN
  | dict(positions="learned", relative="none"),
}
NAME = "hf_beit"


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check(NAME, kit.tiny("vit", **CASES[case]))
  names = set(written.theirs)
  pooled = "beit.pooler.layernorm.weight" in names
  assert pooled == (case != "shared")
  assert ("beit.layernorm.weight" in names) == (not pooled)
  table = "relative_position_bias.relative_position_bias_table"
  assert (f"beit.encoder.{table}" in names) == (case == "shared")
  assert not [n for n in names if "key.bias" in n]


@pytest.mark.parametrize("case", CASES)
def test_config(case):
  method = kit.tiny("vit", **CASES[case])
  config = kit.check_config(NAME, method, "encoder", "head")
  assert config["use_relative_position_bias"] == (case == "block")
  assert config["use_shared_relative_position_bias"] == (case == "shared")


def test_layer_scales_are_lambdas():
  written = kit.export(NAME, kit.tiny("vit", **CASES["block"]))
  for i in (1, 2):
    ours = written.ours[f"params/main/encoder/blocks/layers/ls{i}/gamma"]
    theirs = written.theirs[f"beit.encoder.layer.1.lambda_{i}"]
    np.testing.assert_array_equal(theirs, ours[1])


LIBRARY = {
  "block": dict(use_relative_position_bias=True),
  "shared": dict(
    use_shared_relative_position_bias=True,
    use_mean_pooling=False,
    layer_scale_init_value=0.0,
  ),
  "absolute": dict(use_absolute_position_embeddings=True),
}


@pytest.mark.parametrize("case", LIBRARY)
def test_the_library_computes_the_same(tmp_path, case):
  library = peers.transformers()
  config = library.BeitConfig(
    **peers.HF,
    **LIBRARY[case],
    layer_norm_eps=1e-6,
    drop_path_rate=0.0,
    num_labels=5,
  )
  theirs = peers.shake(library.BeitForImageClassification(config))
  made = peers.check_hf(theirs, NAME, tmp_path)
  assert not made.fresh and not made.ignored
