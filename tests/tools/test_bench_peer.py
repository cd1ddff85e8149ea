import json
import sys

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from jmim.cost import kinds  # noqa: E402
from jmim.tools import bench_peer  # noqa: E402  needs them

SPEC = {
  "model": "mae",
  "width": 16,
  "depth": 1,
  "heads": 2,
  "hidden": 32,
  "size": 8,
  "patch": 4,
  "channels": 3,
  "decoder_width": 16,
  "decoder_depth": 1,
  "decoder_heads": 2,
  "decoder_hidden": 32,
  "mask_ratio": 0.5,
  "norm_pix": False,
  "batch": 2,
  "dtype": "float32",
  "lr": 1e-2,
  "betas": (0.9, 0.95),
  "weight_decay": 0.0,
}


def test_it_builds_what_the_config_says():
  model = bench_peer.build(SPEC).net
  assert model.config.hidden_size == 16 and model.config.patch_size == 4
  assert model.config.decoder_intermediate_size == 32
  assert model.config._attn_implementation == "sdpa"


def test_it_trains_and_answers_each_line(monkeypatch, capsys):
  lines = [json.dumps(SPEC), "1", "30", '{"profile": 2}']
  stream = iter(line + "\n" for line in lines)

  class Input:
    def readline(self):
      return next(stream)

    def __iter__(self):
      return stream

  monkeypatch.setattr(sys, "stdin", Input())
  bench_peer.main()
  shown = [x for x in capsys.readouterr().out.splitlines() if x[:1] == "{"]
  facts, first, last, profile = map(json.loads, shown)
  assert facts["name"].startswith("transformers") and facts["parameters"] > 0
  assert last["loss"] < first["loss"] and last["seconds"] > 0
  by_kind = {row["name"]: row for row in profile["kinds"]}
  assert by_kind[f"{kinds.DEPENDENT}, both passes"]["flops"] > 0
  assert {kinds.NORMS, kinds.OUTSIDE} <= set(by_kind)
  assert all(row["flops"] > 0 for row in profile["shapes"])


def test_the_peer_of_a_dit_is_diffusers_and_predicts_the_noise():
  pytest.importorskip("diffusers")
  dit = {"model": "dit", "classes": 5, "out": 8, "depth": 2, "heads": 4}
  more = {"width": 16, "size": 8, "patch": 2, "channels": 4}
  step = bench_peer.Step(SPEC | dit | more)
  first = step.run(1)["loss"]
  assert 0.5 < first < 2  # of a noise of variance 1
  assert step.run(40)["loss"] < first
  config = step.model.net.config
  assert config.attention_head_dim == 4 and config.num_layers == 2
