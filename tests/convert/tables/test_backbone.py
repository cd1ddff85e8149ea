import dataclasses

from jmim.convert.tables import _backbone
from jmim.core import validate
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
  body = _backbone.write_hf(PLAIN, "vit", "ViTForImageClassification")
  assert body["model_type"] == "vit"
  found = _backbone.read_hf(body)
  again = validate.build(backbone.Backbone, found, "method")
  assert again.encoder.size == PLAIN.encoder.size
  for name in ("size", "channels", "classes", "act", "eps", "qkv_bias"):
    assert getattr(again, name) == getattr(PLAIN, name) == found[name], name
  written = _backbone.write_hf(again, "vit", "ViTForImageClassification")
  assert written == body


def test_a_gated_mlp_is_named():
  assert "swiglu" in _backbone.ungated(METHOD)
  assert _backbone.ungated(PLAIN) is None
