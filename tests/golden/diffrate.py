"""DiffRate (OpenGVLab/DiffRate): its search, and inference by its counts."""

import re

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import diffrate as convert
from jmim.convert.tables import mae as mae_names
from jmim.convert.tables import timm_vit
from jmim.core import discovery
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import classifier
from jmim.methods.parts import mixing
from jmim.methods.parts import token_counts
from jmim.methods.supervised import diffrate
from jmim.nn import compress

SKIPPED = {}
# The authors' names of a classifier that this method holds.
NAMES = {"backbone": timm_vit.classifier, "finetune": mae_names.classifier}


def number(text):
  """The first of a text ("1e6 (official code uses 1e9)")."""
  return float(re.match(r"[\d.eE+]+", str(text))[0])


def kind(case):
  """MAE's head has a norm of its own; DeiT's reads the class token."""
  return "finetune" if "fc_norm.weight" in case.params else "backbone"


def method(case):
  config = case.config
  # Constants of the network, not options of it.
  assert config["layernorm_eps"] == 1e-6 and config["qkv_bias"]
  return diffrate.DiffRate(
    size=config["img_size"],
    classes=config["num_classes"],
    classifier=classifier.Classifier(
      kind=kind(case),
      dims=golden_kit.dims(config),
    ),
    mixing=mixing.Mixing(
      mixup=0.0, cutmix=0.0, smoothing=config["label_smoothing"]
    ),
    drop_path=0.0,
    counts=token_counts.TokenCounts(
      granularity=config["granularity"],
      untouched=tuple(config["uncompressed_blocks"]),
      target=float(config["target_flops"]),
      flops_unit=number(config["flops_unit_in_golden_loss"]),
      weight=float(config["flops_loss_weight"]),
      mlp_ratio=4.0,  # of their count, whatever the network's is
    ),
  )


def weights(m, case):
  """theta and the classifier; of blocks that keep all nothing is read."""
  learned = {
    f"blocks.{i}.{k}_ddp."
    for i in m.counts.compressed(m.extent[1])
    for k in token_counts.KINDS
  }
  theta = {n: x for n, x in case.params.items() if n.startswith(tuple(learned))}
  # Without the final norm, if there is one that MAE's classifier leaves out.
  unread = r"_ddp\.|^norm\." if m.classifier.kind == "finetune" else r"_ddp\."
  theirs = {n: x for n, x in case.params.items() if not re.search(unread, n)}
  held = discovery.find(f"supervised.{m.classifier.kind}")
  dims = m.classifier.dims
  same = held(size=m.size, classes=m.classes, dims=dims)
  frozen = table.import_tree(NAMES[m.classifier.kind](same), theirs)
  params = {"main": table.import_tree(convert.counts(m), theta)}
  return methods.Weights(params, {}, {"classifier": frozen})


def run(case):
  m = method(case)
  m.inputs()  # checks that the case fits together
  w = weights(m, case)
  batch = {
    "image": golden_kit.images(case.inputs["image"]),
    "label": jnp.asarray(case.inputs["label"]),
  }
  draws = m.drawn(jax.random.key(0), batch)
  (_, aux), grads = golden_kit.loss_and_grads(m, w, batch, draws)
  only_ce = field.replace(m, counts={"weight": 0.0})
  _, grads_ce = golden_kit.loss_and_grads(only_ce, w, batch, draws)
  counts = jax.jit(m.learned)(w.params)
  kept = [[int(k) for k in x] for x in (counts.prune, counts.merge)]
  train = jax.jit(lambda w: m.forward(w, batch["image"], {}, taps=True))(w)
  short = jax.jit(lambda w: m.forward(w, batch["image"], {}, kept, taps=True))(
    w
  )
  outputs = {
    "logits": train["logits"],
    "flops": m.flops((counts.prune, counts.merge)),
    "loss_ce": aux["ce"],
    "kept_prune": np.int32(kept[0]),
    "kept_merge": np.int32(kept[1]),
    "train_size": (train["size"] * train["mask"])[..., None],
    "train_mask": train["mask"],
    "eval_logits": short["logits"],
    "eval_flops": m.flops(kept),
    "eval_size": in_order(short["block"][-1], "size")[..., None],
    **merge_step(case),
    **gradients(m, grads, ""),
    **gradients(m, grads_ce, "ce"),
  }
  for i, (masked, cut) in enumerate(
    zip(train["block"], short["block"], strict=True)
  ):
    outputs[f"train_block{i}"] = masked["x"] * masked["mask"][..., None]
    outputs[f"eval_block{i}"] = in_order(cut, "x")
  return golden_kit.asked(case, outputs)


def in_order(state, name):
  """Tokens after a block as the authors sort them.

  Here a block that loses no token leaves them where they are.
  """
  x, importance = state[name], state["importance"]
  if x is None:
    x = jnp.ones(state["x"].shape[:2])
  if importance.shape[1] + 1 != x.shape[1]:
    return x
  ids = compress.by_importance(importance)
  return jax.vmap(lambda rows, i: rows[i])(x, ids)


def merge_step(case):
  """A merge of given tokens."""
  if "step_x" not in case.inputs:
    return {}
  x, size = case.inputs["step_x"], case.inputs["step_size"][..., 0]
  merged = compress.merge(x, size, int(case.inputs["step_kept"]))
  return {
    "step_x": merged.x,
    "step_size": merged.size[..., None],
    "step_similarity": merged.similarity,
  }


def gradients(m, grads, suffix):
  """grad_prune3 and so on, by the number of the block."""
  rows = m.counts.compressed(m.extent[1])
  return {
    f"grad{suffix}_{k}{i}": grads[k][row]
    for k in token_counts.KINDS
    for row, i in enumerate(rows)
  }
