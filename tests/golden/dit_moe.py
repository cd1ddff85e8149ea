"""DiT-MoE (feizc/DiT-MoE): routing, losses, gradients, guided Euler."""

import dataclasses
import re

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import dit_moe as convert
from jmim.diffusion import sampler
from jmim.methods.diffusion import dit_moe

SKIPPED = {}
TAPS = ("chosen", "weights", "balance", "moe_in", "moe_out")


def method(config, **more):
  assert not config["norm_topk_prob"] and not config["seq_aux"]
  return dit_moe.DiTMoE(
    variant=f"S/{config['patch_size']}",
    size=config["input_size"],
    channels=config["in_channels"],
    classes=config["num_classes"],
    width=config["hidden_size"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=config["mlp_ratio"],
    learn_variance=config["learn_sigma"],
    experts=config["num_experts"],
    chosen=config["num_experts_per_tok"],
    shared=config["n_shared_experts"],
    balance=config["aux_loss_alpha"],
    clip=0.0,
    **more,
  )


def last(array):
  return jnp.asarray(np.moveaxis(array, -3, -1))


def first(array):
  return np.moveaxis(np.asarray(array), -1, -3)


def run(case):
  m, i = method(case.config), case.inputs
  names = convert.full(m)
  params = {"main": table.import_tree(names, case.params)}
  batch = {"image": last(i["x"]), "label": jnp.asarray(i["y"])}
  draws = {
    "t": jnp.asarray(i["t"]),
    "noise": last(i["noise"]),
    "label_drop": jnp.ones(len(i["t"])),  # labels are given after it
  }

  def loss_of(params):
    return m.loss("main", params, {}, {}, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  theirs = table.export_tree(names, grads["main"], constants=False)
  out = jax.jit(m.forward, static_argnums=3)(params, batch, draws, TAPS)
  sorted_runs = dataclasses.replace(
    m, rt=dataclasses.replace(m.rt, experts="ragged")
  )
  other = jax.jit(sorted_runs.forward)(params, batch, draws)
  order = np.argsort(out["chosen"], axis=-1)
  chosen = lambda x: einops.rearrange(
    np.take_along_axis(np.asarray(x), order, -1), "l b t k -> l (b t) k"
  )
  return {
    "x_t": first(m.noised(batch["image"], draws)[0]),
    "model_out": first(out["pred"]),
    "model_out_eval": first(other["pred"]),
    "moe0_in": out["moe_in"][0],
    "moe0_out": out["moe_out"][0],
    "topk_idx": chosen(out["chosen"]).astype(np.int32),
    "topk_weight": chosen(out["weights"]),
    "aux_loss": m.balance * out["balance"],
    "loss": loss,
    **{
      name: theirs[name.removeprefix("grad/")]
      for name in case.outputs
      if name.startswith("grad/")
    },
    **flow(case, params, batch, draws),
  }


def flow(case, params, batch, draws):
  """The rectified flow's loss, and its Euler steps from given noise."""
  i, steps = case.inputs, len(case.outputs["rf_samples"]) - 1
  said = case.info["arrays"]["out/rf_samples"]["meaning"]
  guidance = float(re.search(r"cfg ([\d.]*\d) on all", said)[1])
  m = method(
    case.config,
    objective="flow",
    sampler="euler",
    steps=steps,
    guidance=guidance,
  )
  given = {**draws, "t": jnp.asarray(i["rf_t"])}
  loss = jax.jit(lambda p: m.loss("main", p, {}, {}, batch, given, 0)[0])
  start = last(i["rf_z"])
  walk = jax.jit(
    lambda p, z, y: sampler.sample(
      m.table, m.denoise(p, y), z, callback=sampler.trajectory
    )[1]["x"]
  )
  path = walk(params, start, jnp.asarray(i["rf_y"]))
  return {
    "rf_loss": loss(params),
    "rf_samples": first(jnp.concatenate([start[None], path])),
  }
