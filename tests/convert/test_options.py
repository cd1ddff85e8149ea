"""Words of config.json that several libraries' networks share."""

import re

import pytest

from jmim.convert import options
from jmim.core import errors


def test_only_keys_that_are_there_are_compared():
  options.refuse({"a": 1}, a=1, b=2)
  with pytest.raises(errors.UserError, match=r"a=1 \(here 2\), b='x'"):
    options.refuse({"a": 1, "b": "x"}, a=2, b="y")


@pytest.mark.parametrize("width", [48, 384, 1408])
@pytest.mark.parametrize("hidden", [1, 130, 1000, 6144])
def test_the_ratio_gives_the_hidden_width_back(width, hidden):
  assert int(width * options.mlp_ratio(hidden, width)) == hidden


CONFIG = dict(
  hidden_size=32,
  num_hidden_layers=2,
  num_attention_heads=4,
  intermediate_size=96,
  image_size=16,
  patch_size=4,
  layer_norm_eps=1e-5,
)


def test_sizes_of_transformers_are_read():
  assert options.hf_dims(CONFIG) == dict(
    variant="B/4", width=32, depth=2, heads=4, mlp_ratio=3.0
  )
  assert options.hf_image(CONFIG) == dict(size=16, channels=3)
  ratio = {k: v for k, v in CONFIG.items() if k != "intermediate_size"}
  assert options.hf_dims(ratio | {"mlp_ratio": 2})["mlp_ratio"] == 2.0


@pytest.mark.parametrize("act", options.HF_ACTS)
def test_activations_go_there_and_back(act):
  config = CONFIG | {"hidden_act": options.HF_ACTS[act]}
  assert options.hf_style(config) == dict(act=act, eps=1e-5)


def test_another_activation_is_refused():
  with pytest.raises(errors.UserError, match="hidden_act='relu'"):
    options.hf_style(CONFIG | {"hidden_act": "relu"})


@pytest.mark.parametrize(
  "labels, want",
  [(None, 2), ({}, 2), ({"0": "a"}, 2), (dict.fromkeys("abc"), 3)],
)
def test_there_are_two_classes_at_least(labels, want):
  assert options.hf_classes({"id2label": labels}) == want


def arguments(config):
  return options.timm_arguments(
    config,
    r"net_(a|b)_(\d+)",
    "net_<a|b>_<size>",
    lambda match: dict(kind=match[1], size=int(match[2]), bias=True),
  )


def test_arguments_of_timm_are_those_of_the_name_unless_given():
  name = {"architecture": "net_b_224.in1k"}
  assert arguments(name) == dict(kind="b", size=224, bias=True)
  given = name | {"model_args": {"bias": False, "size": None}}
  assert arguments(given) == dict(kind="b", size=224, bias=False)


@pytest.mark.parametrize(
  "config, seen",
  [
    ({"architecture": "net_c_224"}, "architecture='net_c_224'"),
    ({}, "architecture=''"),
    (
      {"architecture": "net_a_1", "model_args": {"depth": 3}},
      "depth=3 (here None)",
    ),
  ],
)
def test_other_networks_of_timm_are_refused(config, seen):
  with pytest.raises(errors.UserError, match=re.escape(seen)):
    arguments(config)
