"""ThinkDiff: both variants, with Transformers' T5 as the frozen one."""

import dataclasses

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import hf_t5
from jmim.convert.tables import thinkdiff as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import generated_tokens
from jmim.methods.parts import heard as hearing
from jmim.methods.parts import seen_image
from jmim.methods.parts import t5
from jmim.methods.text import thinkdiff
from jmim.nn.nets import t5 as nets

SKIPPED = {}
ACTS = {"gated gelu (tanh approximation)": "gelu", "relu": "relu"}
# What is told, by the order in which it stands.
VARIANTS = {
  "[image, text]": seen_image.Seen,
  "[text, image]": seen_image.Seen,
  "n/a": generated_tokens.Generated,
}
IGNORED = -100  # a label that is not said


def build(config, length):
  """The method; places of features are those of the case."""
  told = VARIANTS[config["order"]]
  variant = told(width=config["vlm_dim"])
  if told is seen_image.Seen:
    variant = field.replace(variant, vision=dict(family="none"))
  else:
    variant = field.replace(variant, length=length)
  network = t5.T5(
    words=config["vocab"],
    width=config["d_model"],
    depth=config["layers"],
    heads=config["heads"],
    head_width=config["d_kv"],
    hidden=config["d_ff"],
    buckets=config["relative_buckets"],
    distance=config["relative_max_distance"],
    act=ACTS[config["feed_forward"]],
    tied=config["tie_word_embeddings"],
  )
  m = field.replace(
    thinkdiff.ThinkDiff(), projector=dict(norm="own"), text=dict(length=length)
  )
  return field.replace(m, variant=variant, t5=network)


def frozen(m, params):
  """T5's tree; a case may lack the encoder but for its last norm."""
  theirs = golden_kit.below(params, "language_model.")
  rules = hf_t5.network(m.t5.act, m.t5.tied)
  names = lambda rule: rule.theirs.replace("{i}", "0")
  return table.import_tree([r for r in rules if names(r) in theirs], theirs)


def heard(case, features):
  """What is told and what is to be said."""
  labels = case.inputs["labels"]
  text = case.inputs.get("text_ids")
  kept = case.inputs.get("embed_mask", np.ones(features.shape[:2]))
  assert np.array_equal(labels != IGNORED, case.inputs["decoder_mask"] == 1)
  return hearing.Heard(
    features=features,
    present=jnp.asarray(kept, bool),
    before=None if text is None else jnp.asarray(text),
    before_present=None if text is None else case.inputs["text_mask"] == 1,
    labels=jnp.where(labels == IGNORED, 0, labels),
    said=jnp.asarray(case.inputs["decoder_mask"] == 1),
  )


def run(case):
  features = jnp.asarray(case.inputs["vlm_features"])
  m = build(case.config, features.shape[1])
  tree = frozen(m, case.params)
  own = golden_kit.below(case.params, "mm_projector.")
  rules = convert.full(m)
  own = {f"mm_projector.{n}": x for n, x in own.items()}
  params = {"main": table.import_tree(rules, own)}
  told = heard(case, features)

  @jax.jit
  def everything(params):
    weights = methods.Weights(params, {}, {"t5": tree})
    memory, there = m.memory(weights, told)
    if case.config["order"] == "[text, image]":  # ours: the image first
      n = features.shape[1]
      memory, there = (jnp.roll(x, -n, axis=1) for x in (memory, there))
    seen = dict(present=told.said, memory_present=there)
    said = nets.shifted(told.labels)
    latent = m.t5.ask(tree, "decode", said, memory, **seen)
    found = {
      "projected": m.project(weights, features),
      "logits": m.t5.ask(tree, "scores", latent),
    }
    if told.before is not None:
      text = (told.before, told.before_present)
      found["text_encoder"] = m.t5.ask(tree, "encode", *text)
      found["encoder_sequence"] = memory

    def loss(params):
      own = dataclasses.replace(weights, params=params)
      return m.error(own, told)[0]

    found["loss"], grads = jax.value_and_grad(loss)(params)
    return found, grads

  found, grads = everything(params)
  theirs = table.export_tree(rules, grads["main"])
  return {
    **found,
    "grad_proj0": theirs["mm_projector.0.weight"],
    "grad_norm_weight": theirs["mm_projector.3.weight"],
  }
