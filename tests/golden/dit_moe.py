"""DiT-MoE (feizc/DiT-MoE): routing, losses, gradients, guided Euler."""

import dataclasses
import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import dit_moe as convert
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.methods.diffusion import dit_moe
from jmim.methods.parts import flow as flows
from jmim.methods.parts import gaussian
from jmim.methods.parts import guided
from jmim.methods.parts import labels
from jmim.nn import sizes

SKIPPED = {}
TAPS = ("chosen", "weights", "balance", "moe_in", "moe_out")


def method(config, noise, **sampling):
  """`pretraining_tp` cuts products into parts, which changes nothing."""
  return dit_moe.DiTMoE(
    size=config["input_size"],
    channels=config["in_channels"],
    dims=sizes.Dims(
      variant=f"S/{config['patch_size']}",
      width=config["hidden_size"],
      depth=config["depth"],
      heads=config["num_heads"],
      mlp_ratio=config["mlp_ratio"],
    ),
    noise=noise,
    labels=labels.Labels(classes=config["num_classes"]),
    sampling=guided.Guided(clip=0.0, **sampling),
    experts=config["num_experts"],
    chosen=config["num_experts_per_tok"],
    shared_ratio=config["n_shared_experts"] or 0,
    balance=config["aux_loss_alpha"],
    normalise=config["norm_topk_prob"],
    balance_examples=config["seq_aux"],
    qk_norm=config.get("qk_norm", False),
  )


def diffusion(config):
  learns = config["learn_sigma"]
  variance = "learned" if learns else "large"
  return gaussian.Gaussian(variance=variance, learn_variance=learns)


def last(array):
  return jnp.asarray(np.moveaxis(array, -3, -1))


def first(array):
  return np.moveaxis(np.asarray(array), -1, -3)


def run(case):
  m, i = method(case.config, diffusion(case.config)), case.inputs
  names = convert.full(m)
  theirs = golden_kit.with_none(case.params, m.labels.classes)
  weights = methods.Weights({"main": table.import_tree(names, theirs)})
  batch = {"image": last(i["x"]), "label": jnp.asarray(i["y"])}
  draws = {
    "t": jnp.asarray(i["t"]),
    "noise": last(i["noise"]),
    "label_drop": jnp.ones(len(i["t"])),  # labels are given after it
  }

  def loss_of(params):
    return m.loss(methods.Weights(params), batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(weights.params)
  theirs = table.export_tree(names, grads["main"], constants=False)
  z, out = jax.jit(m.denoised, static_argnums=3)(weights, batch, draws, TAPS)
  sorted_runs = dataclasses.replace(
    m, rt=dataclasses.replace(m.rt, experts="ragged")
  )
  _, other = jax.jit(sorted_runs.denoised)(weights, batch, draws)
  order = np.argsort(out["chosen"], axis=-1)
  chosen = lambda x: einops.rearrange(
    np.take_along_axis(np.asarray(x), order, -1), "l b t k -> l (b t) k"
  )
  return {
    "x_t": first(m.noise.add(z, draws["t"], draws["noise"])[0]),
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
    **flow(case, weights, batch, draws),
  }


def flow(case, weights, batch, draws):
  """The rectified flow's loss, and its Euler steps from given noise."""
  i, steps = case.inputs, len(case.outputs["rf_samples"]) - 1
  meaning = case.info["arrays"]["out/rf_samples"]["meaning"]
  guidance = float(re.search(r"cfg ([\d.]*\d) on all", meaning)[1])
  m = method(
    case.config,
    flows.Flow(time="noise", spare=case.config["learn_sigma"]),
    sampler="euler",
    steps=steps,
    guidance=guidance,
  )
  inputs = {**draws, "t": jnp.asarray(i["rf_t"])}
  loss = jax.jit(lambda w: m.loss(w, batch, inputs, 0)[0])
  start = last(i["rf_z"])

  def output(raw, x, level):
    return m.noise.output(raw, x, level, channels=m.channels, clip=0.0)

  @jax.jit
  def walk(weights, z, label):
    denoise = m.sampling.denoiser(
      lambda x, t, y: m.network(weights.params, x, t, y),
      output,
      condition=m.labels.condition({"label": label}),
      end=m.noise.end,
      channels=m.channels,
    )
    table = m.noise.table(m.sampling)
    return sampler.sample(table, denoise, z, callback=sampler.trajectory)

  _, path = walk(weights, start, jnp.asarray(i["rf_y"]))
  return {
    "rf_loss": loss(weights),
    "rf_samples": first(jnp.concatenate([start[None], path["x"]])),
  }
