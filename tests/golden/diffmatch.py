"""DiffMatch (KU-CVLAB/DiffMatch): costs, x0, the loss, sampled flows."""

import functools

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import _unet
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.dense import diffmatch
from jmim.methods.parts import flow_samples
from jmim.nn import matching

SKIPPED = {}
ALSO = ("dense.diffmatch_fine",)  # whose cost it is, see `finer`


class Given(diffmatch.DiffMatch):
  """Features are inputs here, on the grid already; so are flows."""

  def told(self, weights, images, starts, blind=False):
    m, (source, target) = self.matcher, images
    cosines = matching.correlation(source, target)
    flow = matching.likeliest(cosines)
    cost = matching.local_cost(cosines, flow, m.radius)
    return flow / m.size, m.told(flow / m.size, cost)

  def truth(self, batch):
    return batch["flow"]


def check(config):
  known = {
    "predict": "x0",
    "out_channels": 2,
    "in_channels": 4 + (2 * config["radius"] + 1) ** 2,
  }
  for name, value in known.items():
    if config.get(name, value) != value:
      raise ValueError(f"{name}={config[name]}: the method has {value}")


def build(config, span):
  """The method, whose features are given: flows are as large as the mask."""
  check(config)
  side = config["feature_size"]
  return field.replace(
    Given(),
    size=side,
    sides=span,
    matcher=dict(
      size=side,
      radius=config["radius"],
      dims=dict(
        width=config["model_channels"],
        multipliers=tuple(config["channel_mult"]),
        blocks=config["num_res_blocks"],
        attend_at=tuple(config["attention_downsample_factors"]),
        heads=config["num_heads"],
        up_heads=max(0, config.get("num_heads_upsample", 0)),
        scale_shift=config["use_scale_shift_norm"],
        norm_groups=config["group_norm_groups"],
      ),
    ),
    noise=dict(
      schedule=config["noise_schedule"].split()[0],
      times=config["diffusion_steps"],
    ),
    sampling=dict(steps=config["diffusion_steps"]),
    hypotheses=dict(count=config["n_hypotheses"]),
  )


def nchw(x):
  return einops.rearrange(np.asarray(x), "... h w c -> ... c h w")


def nhwc(x):
  return jnp.asarray(einops.rearrange(x, "... c h w -> ... h w c"))


def levels(inputs, whose):
  """Levels of features [b, h, w, c], in their order."""
  names = [n for n in inputs if n.startswith(f"{whose}_feat")]
  numbered = sorted(names, key=lambda n: int(n.removeprefix(f"{whose}_feat")))
  return [nhwc(inputs[n]) for n in numbered]


def run(case):
  inputs = case.inputs
  m = build(case.config, inputs["mask"].shape[1:])
  rules = _unet.network(m.matcher.net)
  weights = methods.Weights(golden_kit.import_main(m, rules, case.params, {}))
  pair = levels(inputs, "src"), levels(inputs, "trg")
  batch = {
    "images": pair,
    "flow": nhwc(inputs["flow"]),
    "flow_known": jnp.asarray(inputs["mask"]),
  }
  draws = {"t": jnp.asarray(inputs["t"]), "noise": nhwc(inputs["noise"])}
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = {
    "loss": loss,
    "betas": m.noise.process.beta,
    "alphas_cumprod": m.noise.process.power,
  }
  seen = told(m, weights, batch, draws=draws, inputs=inputs)
  out |= seen | finer(m, pair, inputs)
  out |= golden_kit.named_grads(case, rules, grads)
  return golden_kit.asked(case, out)


def told(m, weights, batch, draws, inputs):
  """What the network is told, what it says, and what is sampled."""
  flow, seen = m.told(weights, batch["images"], None)
  x_t, _, _ = m.noise.add(batch["flow"], draws["t"], draws["noise"])
  x0 = jax.jit(m.denoised)(weights, batch["flow"], draws, seen)
  found = {}
  if "x_T" in inputs:  # hypotheses of the first pair
    walk = functools.partial(m.matcher.walk, noise=m.noise, sampling=m.sampling)
    starts = nhwc(inputs["x_T"])[:, None]
    made = jax.jit(walk)(weights.params["main"], seen[:1], starts)
    found["flow_sample"] = nchw(flow_samples.mean(made))
  return found | {
    "init_flow_px": nchw(flow * m.matcher.size),
    "local_corr": nchw(seen[..., 2:]),
    "x_t": nchw(x_t),
    "x0_pred": nchw(x0),
  }


def finer(m, pair, inputs):
  """The cost of the finest level around given places."""
  found = {}
  if "sr_coords" in inputs:
    at = nhwc(inputs["sr_coords"])
    own = [[side[0][: len(at)]] for side in pair]
    flow = at - matching.cells(at.shape[1:3])
    cost = matching.sampled_cost(*own, flow, m.matcher.radius)
    found["sr_local_corr"] = nchw(cost)
  return found
