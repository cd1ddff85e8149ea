"""DiMR (qihao067/DiMR): branches, skips, targets, loss, and a TD-LayerNorm."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import dimr as convert
from jmim.core import method as methods
from jmim.diffusion import boxes
from jmim.methods.latent import dimr
from jmim.methods.parts import gaussian
from jmim.methods.parts import labels
from jmim.nn import dimr as layers
from jmim.nn.nets import dimr_dims as nets

SKIPPED = {}
KINDS = {"TransformerBlock": "transformer", "ConvNeXtBlock": "convnext"}
NORMS = {
  "LN": "td_layer",
  "RMSN": "rms",
  "TDRMSN": "td_rms",
  "ADARMSN": "class_rms",
}
TABLE = "stages.{}.input_layer.3.position_embeddings.weight"


def method(config, size):
  stages = config["stage_configs"]
  each = lambda name, default=1: tuple(s.get(name, default) for s in stages)
  classes = config.get("num_classes", 1) - 1  # the last stands for none
  return dimr.DiMR(
    size=size,
    channels=config["channels"],
    dims=nets.Dims(
      kinds=tuple(KINDS[s["block_type"]] for s in stages),
      widths=each("dim"),
      hidden=each("hidden_dim"),
      blocks=each("num_blocks"),
      heads=each("num_attention_heads"),
      kernels=each("kernel_size"),
      patches=each("input_feature_ratio"),
      reduced=each("image_input_ratio"),
      out_kernels=each("final_kernel_size"),
      norm=NORMS[config.get("norm_type", "LN")],
      rotary=config.get("pe_type", "APE") == "Axial_RoPE",
      detached=config["block_grad_to_lowres"],
      loss_weights=tuple(config["loss_coeffs"]),
      unfolded=False,
    ),
    noise=gaussian.Gaussian(
      schedule="scaled_linear", beta_start=0.00085, beta_end=0.012
    ),
    labels=labels.Labels(classes=classes),
  )


def params_of(case, m):
  """Their arrays, of tables of positions the rows that are read."""
  params = dict(case.params)
  stages = case.config["stage_configs"]
  for k, branch in enumerate(m.dims.branches(m.size)):
    if (name := TABLE.format(k)) in params:
      sizes = {"h": stages[k]["max_height"], "w": stages[k]["max_width"]}
      rows = einops.rearrange(params[name], "(h w) d -> h w d", **sizes)
      rows = rows[: branch.side, : branch.side]
      params[name] = einops.rearrange(rows, "h w d -> (h w) d")
  ignored = convert.FAMILIES["dimr"].ignored
  return {
    n: a for n, a in params.items() if not convert.family.matches(ignored, n)
  }


def first(array):
  return np.moveaxis(np.asarray(array), -1, 1)


def run(case):
  i = case.inputs
  x, eps = golden_kit.images(i["x"]), golden_kit.images(i["eps"])
  m = method(case.config, x.shape[1])
  t = jnp.asarray(i["n"]) - 1
  a, s = (c[:, None, None, None] for c in m.noise.process.at(t))
  batch = {"image": (x - s * eps) / a, "label": jnp.asarray(i["y"])}
  # Labels are given after some were dropped.
  draws = {"t": t, "noise": eps, "label_drop": jnp.ones(len(t))}
  rules, params = convert.full(m), params_of(case, m)
  weights = methods.Weights(golden_kit.import_main(m, rules, params, batch))
  tau = jnp.asarray(i["log_snr"]) / 4
  np.testing.assert_allclose(m.tau(t), tau, atol=1e-6)
  out = jax.jit(m.net.apply)(
    {"params": weights.params["main"]}, x, tau, batch["label"]
  )
  terms, mean = jax.jit(
    lambda w: (m.terms(w, batch, draws), m.loss(w, batch, draws, 0)[0])
  )(weights)
  loss = sum(c * e for c, e in zip(m.dims.loss_weights, terms, strict=True))
  np.testing.assert_allclose(mean, loss.mean(), rtol=1e-5)
  found = {"loss": loss, "loss_mean": mean, **norm(weights, tau, i)}
  for k, pred in enumerate(out["pred"]):
    ratio = m.size // pred.shape[1]
    found[f"pred_{k}"] = first(pred)
    found[f"target_{k}"] = first(boxes.boxed(eps, ratio))
    found[f"stage{k}_skips"] = out["skips"][k]
  if any(name.startswith("grad/") for name in case.outputs):
    _, grads = golden_kit.loss_and_grads(m, weights, batch, draws)
    found |= golden_kit.named_grads(case, rules, grads)
  return golden_kit.asked(case, found)


def norm(weights, tau, inputs):
  """The norm before the first branch's prediction, alone."""
  params = weights.params["main"]["branch0"]["norm"]
  if "h" not in inputs:
    return {}
  width = inputs["h"].shape[-1]
  value = lambda name: layers.TimeParameter(
    width=width, start=layers.ZEROS
  ).apply({"params": params[name]}, tau)
  made = layers.TDLayerNorm().apply({"params": params}, inputs["h"], tau)
  return {
    "tdln": made,
    "tdln_weight": value("scale"),
    "tdln_bias": value("bias"),
  }
