"""DiffPose: candidates, conditions, noise, loss, hypotheses, posterior."""

import dataclasses
import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import diffpose as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import sampler as samplers
from jmim.diffusion import variance
from jmim.methods.parts import hypotheses
from jmim.methods.pose import diffpose
from jmim.nn import losses

SKIPPED = {}
FLOOR = 1e-20  # of a variance whose logarithm is asked for
# What a case may say of it; the paper and its configs have the first of each.
KNOWN = {"objective": ("pred_noise", "pred_x0"), "loss": ("l2", "l1")}
KINDS = {"pred_noise": "eps", "pred_x0": "x0"}  # ours: `diffusion.targets`
COSINE = {"0.008", "0.999"}  # shift, greatest beta


def blocks_of(params):
  """Residual blocks of the denoiser."""
  first = {name.split(".")[1] for name in params if ".res_pose" in name}
  return len(first)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sampled(hypotheses.Hypotheses):
  """Of a network that says `kind`."""

  kind: str

  def denoiser(self, noise, network, scale):
    def call(x, level):
      raw = network(x, jnp.full(x.shape[:-1], level.time))
      how = dict(channels=x.shape[-1], clip=self.clip * scale, kind=self.kind)
      return noise.output(raw, x, level, **how)

    return call


@dataclasses.dataclass(frozen=True, kw_only=True)
class Other(diffpose.DiffPose):
  """Options of the released code that no config of theirs has."""

  kind: str
  error: str

  def loss(self, weights, batch, draws, step, player="main"):
    params, heat = weights.params, self.heatmaps.of(batch)
    c = self.conditions(params, heat, draws["cell"])
    x = self.scale * batch["poses"]
    x_t, _, _ = self.noise.add(x, draws["t"], draws["noise"])
    wanted = {"eps": draws["noise"], "x0": x}[self.kind]
    gap = self.eps(params, c, x_t, draws["t"]) - wanted
    return losses.DISTANCES[self.error](gap).mean(), {}


def other(m, config):
  """The method with what the network says, and its error."""
  kind = KINDS[config.get("objective", "pred_noise")]
  error = config.get("loss", "l2")
  if (kind, error) == ("eps", "l2"):
    return m
  fields = vars(m) | {"sampling": Sampled(kind=kind, **vars(m.sampling))}
  return Other(kind=kind, error=error, **fields)


def schedule(config):
  """Fields of the schedule.

  "linear", or "cosine s=0.008, clip 0.999" or a part of it.
  """
  said = config.get("beta_schedule", "cosine")
  name, *_ = said.replace(",", " ").split()
  if name == "linear":  # whatever the number of times, as much noise in all
    return {"schedule": name} | golden_kit.spread(config["timesteps"])
  if name != "cosine" or not set(re.findall(r"[\d.]+", said)) <= COSINE:
    raise ValueError(f"beta_schedule={said}: cosine s=0.008, clip 0.999")
  return dict(schedule=name)


def check(config):
  for name, known in KNOWN.items():
    if config.get(name, known[0]) not in known:
      raise ValueError(f"{name}={config[name]}: {' or '.join(known)}")


def method(config, blocks=2):
  check(config)
  m = field.replace(
    diffpose.DiffPose(
      scale=config["scale_3d_pose"],
      width=config["denoiser_hidden"],
      blocks=blocks,
    ),
    body=dict(joints=config["joints"], hips=(0,)),  # no output has a pelvis
    heatmaps=dict(joints=config["joints"], size=config["heatmap_size"]),
    candidates=dict(count=config["num_samples"]),
    condition=dict(
      channels=config["embedding_dim"],
      depth=config["transformer_layers"],
      heads=config["transformer_heads"],
      hidden=config["transformer_ff"],
      condition=config["condition_dim"],
    ),
    noise=dict(times=config["timesteps"], **schedule(config)),
    sampling=dict(count=config["n_hypotheses"], steps=config["timesteps"]),
  )
  return other(m, config)


def uniform(heat, cells):
  """Numbers in [0, 1) whose cells these [b * j, k] are: amid each.

  Cells are drawn of the cumulated map, of which each has a part.
  """
  mass = np.maximum(np.float64(heat), 0).reshape(len(cells), -1)
  upto = np.cumsum(mass, axis=1)
  beyond = np.take_along_axis(upto, cells, axis=1)
  amid = beyond - np.take_along_axis(mass, cells, axis=1) / 2
  found = jnp.asarray(amid / upto[:, -1:], jnp.float32)
  return found.reshape(*heat.shape[:2], cells.shape[1])


def run(case):
  m, i = method(case.config, blocks_of(case.params)), case.inputs
  m.inputs()
  heat = jnp.asarray(i["heatmaps"])
  batch = {"heatmaps": heat, "poses": jnp.asarray(i["poses_3d"])}
  rules = convert.full(m)
  params = golden_kit.import_main(m, rules, case.params, batch)
  cell = uniform(heat, i["sample_idx"])
  draws = {"t": i["t"], "noise": i["noise"], "cell": cell}
  draws = {k: jnp.asarray(a) for k, a in draws.items()}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  places, likelihood = m.candidates.of(heat, cell)
  c = jax.jit(m.conditions)(params, heat, cell)
  x_t, _, _ = m.noise.add(m.scale * batch["poses"], draws["t"], draws["noise"])
  process = m.noise.process
  found = {
    "samples": einops.rearrange(places, "b j k d -> b k (j d)"),
    "probs": einops.rearrange(likelihood, "b j k -> b k j"),
    "cond_embedding": c[:, None],
    "eps_pred": jax.jit(m.eps)(params, c, x_t, draws["t"]),
    "loss": loss,
    "betas": np.float32(process.beta),
    "alphas_cumprod": np.float32(process.power),
    **golden_kit.named_grads(case, rules, grads),
  }
  found |= walked(m, params, heat, i)
  found |= posterior(m, params, c, i) if {"p_x", "p_t"} <= set(i) else {}
  return golden_kit.asked(case, found)


def walked(m, params, heat, i):
  """Hypotheses, one draw of cells for all, and the mean estimate."""
  n, b, found = m.sampling.count, len(heat), {}
  if {"sample_idx_hyp", "x_T", "step_noise"} <= set(i):
    cells = uniform(heat, i["sample_idx_hyp"])
    sets = einops.rearrange(cells, "b j (n k) -> n b j k", n=n)
    each = lambda x: einops.rearrange(x, "... (b n) d -> ... b n d", b=b)
    c = m.told(params, heat, sets)
    start, normal = (jnp.asarray(each(i[k])) for k in ("x_T", "step_noise"))
    made = jax.jit(m.walk)(params, c, start=start, normal=normal)
    found["hypotheses"] = einops.rearrange(made, "b n d -> (b n) d")
  if "x_T_mean" in i:
    c = m.told(params, heat, uniform(heat, i["sample_idx"])[None])
    start = jnp.asarray(i["x_T_mean"])[:, None]
    found["z0"] = m.walk(params, c, start=start, normal=None)[:, 0]
  return found


def posterior(m, params, c, i):
  """Mean and log variance of a step, each example at its own time."""
  table = m.noise.table(m.sampling)
  rows = samplers.rows_of(table, jnp.float32)
  q = variance.posterior(m.noise.process.levels())
  means, logs = [], []
  for b, t in enumerate(i["p_t"]):
    row = len(table) - 1 - int(t)
    level = jax.tree.map(lambda a, row=row: a[row], rows["level"])
    network = lambda x, t, b=b: m.eps(params, c[b : b + 1, None], x, t)
    denoise = m.sampling.denoiser(m.noise, network, m.scale)
    x = jnp.asarray(i["p_x"][b])[None, None]
    x0 = denoise(x, level).x0
    means.append((q.of_x0[row] * x0 + q.of_x[row] * x)[0, 0])
    logs.append(np.log(np.maximum(table.std[row] ** 2, FLOOR)))
  return {
    "p_mean": np.stack(means),
    "p_log_var": np.float32(logs)[:, None],
  }
