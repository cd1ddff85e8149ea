import dataclasses

from jmim.convert.tables import _backbone
from jmim.methods.supervised import backbone

METHOD = backbone.Backbone.tiny()
PLAIN = dataclasses.replace(METHOD, registers=0, act="gelu")


def test_a_classifier_is_one_linear_layer_with_or_without_a_bias():
  with_bias, without = (_backbone.head("fc", b) for b in (True, False))
  assert [r.theirs for r in with_bias] == ["fc.weight", "fc.bias"]
  assert [r.ours for r in without] == ["head/out/kernel"]


def test_registers_have_a_rule_where_there_are_some():
  (rule,) = _backbone.registers("reg", METHOD)
  assert rule.ours == "encoder/register_tokens"
  assert _backbone.registers("reg", PLAIN) == []


def test_a_config_of_transformers_is_read_as_it_was_written():
  body = _backbone.write_hf(METHOD, "vit", "ViTForImageClassification")
  found = _backbone.read_hf(body)
  assert body["model_type"] == "vit"
  assert found["qkv_bias"] == METHOD.qkv_bias
  assert found["classes"] == METHOD.classes
  again = _backbone.write_hf(METHOD, "vit", "ViTForImageClassification")
  assert again == body


def test_a_gated_mlp_is_named():
  assert "swiglu" in _backbone.ungated(METHOD)
  assert _backbone.ungated(PLAIN) is None
