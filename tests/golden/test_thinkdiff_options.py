"""The adapter of ThinkDiff on options that the given cases leave out."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import numpyt5
import pytest

from jmim.convert import table
from jmim.convert.tables import hf_t5
from jmim.convert.tables import thinkdiff as convert

PLAIN = {
  "vlm_dim": 6,
  "d_model": 8,
  "d_ff": 12,
  "heads": 2,
  "d_kv": 4,
  "layers": 1,
  "vocab": 11,
  "relative_buckets": 8,
  "relative_max_distance": 16,
  "feed_forward": "gated gelu (tanh approximation)",
  "tie_word_embeddings": False,
  "order": "n/a",
  "extra_mask": "n/a",
}
CLIP = {"order": "[image, text]", "extra_mask": "ones"}
OPTIONS = {
  "generated tokens, T5 v1.0": {
    "feed_forward": "relu",
    "tie_word_embeddings": True,
  },
  "an image, three heads wider than the model": {
    **CLIP,
    "heads": 3,
    "layers": 2,
    "relative_buckets": 12,
    "relative_max_distance": 9,
  },
  "the text before the image": {**CLIP, "order": "[text, image]"},
}


def case_of(module, config, n=4, t=3):
  """Random inputs and weights under the authors' names."""
  m = module.build(config, n)
  rng = np.random.default_rng(0)
  rules = hf_t5.network(m.t5.act, m.t5.tied)
  whole = golden_kit.weights(jax.eval_shape(m.t5.init, jax.random.key(0)))
  theirs = table.export_tree(rules, whole)
  params = {f"language_model.{k}": x for k, x in theirs.items()}
  own = jax.eval_shape(
    lambda k: m.projector.init(k, config["vlm_dim"], config["d_model"]),
    jax.random.key(0),
  )
  own = {"project": golden_kit.weights(own, seed=2)}
  params |= table.export_tree(convert.full(m), own)
  labels = rng.integers(1, config["vocab"], (2, t))
  labels[0, 2:] = module.IGNORED
  inputs = {
    "vlm_features": golden_kit.normal(2, n, config["vlm_dim"]),
    "labels": labels.astype(np.int32),
    "decoder_mask": (labels >= 0).astype(np.int32),
  }
  if config["order"] == "n/a":
    inputs["embed_mask"] = np.array([[1, 1, 1, 0], [1, 0, 0, 0]])
  else:
    inputs["text_ids"] = rng.integers(1, config["vocab"], (2, 5))
    inputs["text_mask"] = np.array([[1] * 5, [1, 1, 0, 0, 0]])
  return m, golden_kit.Asked(config, inputs, params)


def defined(m, case):
  """(logits, loss) by the definition, example by example."""
  i, w = case.inputs, case.params
  t5 = numpyt5.T5(golden_kit.below(w, "language_model."), m.t5)
  linear = lambda x, n: (
    x @ w[f"mm_projector.{n}.weight"].T + w[f"mm_projector.{n}.bias"]
  )
  gelu = lambda x: np.asarray(jax.nn.gelu(jnp.asarray(x), approximate=False))
  h = linear(gelu(linear(i["vlm_features"], 0)), 2)
  h = numpyt5.norm(h, w["mm_projector.3.weight"])
  found, nats = [], []
  for k, labels in enumerate(i["labels"]):
    memory, there = h[k], i.get("embed_mask", np.ones(h.shape[:2]))[k] > 0
    if "text_ids" in i:
      seen = i["text_mask"][k] > 0
      text = t5.side("encoder", i["text_ids"][k], seen)
      memory, there = np.concatenate([memory, text]), np.append(there, seen)
    before = np.append(0, np.maximum(labels, 0)[:-1])
    told = dict(memory=memory, memory_present=there)
    said = t5.side("decoder", before, i["decoder_mask"][k] > 0, **told)
    logits = t5.scores(said)
    found.append(logits)
    p = numpyt5.softmax(logits)
    nats += [-np.log(p[j, y]) for j, y in enumerate(labels) if y >= 0]
  return np.stack(found), np.mean(nats)


@pytest.mark.parametrize("name", OPTIONS)
def test_options_are_those_of_the_definition(name):
  module = golden_kit.adapter("thinkdiff")
  m, case = case_of(module, PLAIN | OPTIONS[name])
  got = module.run(case)
  logits, loss = defined(m, case)
  assert np.abs(logits).max() > 0.05
  np.testing.assert_allclose(got["logits"], logits, atol=1e-4)
  np.testing.assert_allclose(got["loss"], loss, atol=1e-4)
  assert ("text_encoder" in got) == ("text_ids" in case.inputs)
  if "text_ids" in case.inputs:
    parts = got["projected"], got["text_encoder"]
    parts = parts if "[i" in case.config["order"] else parts[::-1]
    np.testing.assert_array_equal(
      got["encoder_sequence"], np.concatenate(parts, 1)
    )
