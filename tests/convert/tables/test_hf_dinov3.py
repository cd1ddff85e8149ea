"""DINOv3 of Transformers: rotary positions, biases of q and v or of all."""

import kit
import numpy as np
import peers
import pytest

CASES = {
  "plain": kit.DINOV3,
  "all": kit.DINOV3 | dict(key_bias=True, theta=50.0),
  "gated": kit.DINOV3 | dict(act="swiglu", qkv_bias=False),
}
NAME = "hf_dinov3"


@pytest.mark.parametrize("case", CASES)
def test_names_and_arrays(case):
  written = kit.check(NAME, kit.tiny("vit", **CASES[case]))
  attention = "layer.1.attention"
  biased = {n for n in "qkv" if f"{attention}.{n}_proj.bias" in written.theirs}
  assert biased == {"plain": set("qv"), "all": set("qkv"), "gated": set()}[case]
  gate = "layer.0.mlp.gate_proj.weight"
  assert (gate in written.theirs) == (case == "gated")


@pytest.mark.parametrize("case", CASES)
def test_config(case):
  method = kit.tiny("vit", **CASES[case])
  config = kit.check_config(NAME, method, "encoder")
  assert config["key_bias"] == (case == "all")
  assert config["hidden_act"] == ("silu" if case == "gated" else "gelu")


@pytest.mark.parametrize("case", ["plain", "all"])
def test_biases_are_at_their_projection(case):
  written = kit.export(NAME, kit.tiny("vit", **CASES[case]))
  attn = "params/main/encoder/blocks/layers/attn"
  theirs = written.theirs["layer.1.attention.v_proj.bias"]
  if case == "plain":
    ours = written.ours[f"{attn}/v_bias"][1]
  else:
    ours = np.split(written.ours[f"{attn}/qkv/bias"][1], 3)[2]
  np.testing.assert_array_equal(theirs, ours)


LIBRARY = {
  "plain": dict(num_register_tokens=2),
  "gated": dict(
    num_register_tokens=2,
    use_gated_mlp=True,
    hidden_act="silu",
    query_bias=False,
    value_bias=False,
  ),
  "all": dict(num_register_tokens=1, key_bias=True, rope_theta=50.0),
}


@pytest.mark.parametrize("case", LIBRARY)
def test_the_library_computes_the_same(tmp_path, case):
  library = peers.transformers()
  config = library.DINOv3ViTConfig(**peers.HF, **LIBRARY[case])
  theirs = peers.shake(library.DINOv3ViTModel(config))
  made = peers.check_hf(
    theirs,
    NAME,
    tmp_path,
    read=peers.latent,
    output="last_hidden_state",
    cls=library.AutoModel,
  )
  assert {n.split("/")[2] for n in made.fresh} == {"head"}
  assert made.ignored == ["embeddings.mask_token"]
