"""TAD-SR (LearningHx/TAD-SR), and ResShift (zsyOAOA/ResShift) below it."""

import dataclasses

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import tad_sr as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.methods.parts import restored
from jmim.methods.restore import tad_sr

SKIPPED = {}
ALSO = ("restore.resshift",)  # which it derives from


class Compiled(tad_sr.TADSR):
  """Its networks are compiled once, whatever calls them."""

  network = jax.jit(tad_sr.TADSR.network, static_argnums=0)
  inside = jax.jit(tad_sr.TADSR.inside, static_argnums=0)


def nchw(x):
  return einops.rearrange(np.asarray(x), "... h w c -> ... c h w")


def build(config):
  """The method, as released: uniform noise, states scaled twice."""
  net, process = config["unet"], config["diffusion"]
  size, heads = net["image_size"], net["num_heads"]
  sides, blocks = net["attention_resolutions"], net["num_res_blocks"]
  if isinstance(blocks, int):
    blocks = (blocks,) * len(net["channel_mult"])
  return field.replace(
    Compiled(),
    size=size,
    dims=dict(
      width=net["model_channels"],
      multipliers=tuple(net["channel_mult"]),
      level_blocks=tuple(blocks),
      attend_at=tuple(size // side for side in sides),
      heads=max(heads, 1),
      norm_groups=config["group_norm_groups"],
    ),
    swin=dict(
      width=net["swin_embed_dim"],
      depth=net["swin_depth"],
      window=net["window_size"],
      mlp_ratio=float(net["mlp_ratio"]),
      head_width=max(net["num_head_channels"], 0),
      norm_in=bool(net.get("patch_norm", False)),
    ),
    first_stage=dict(variant="none"),
    degraded=dict(degradation="area", factor=config["sf"]),
    noise=dict(
      times=process["steps"],
      power=process["schedule_kwargs"]["power"],
      kappa=process["kappa"],
      least=process["min_noise_level"],
      end=process["etas_end"],
    ),
    hsd=dict(weight=config["hsd_weight"], double_scale=True),
    critic=dict(
      weight=config["gan_weight"],
      taps=tuple(config["feature_indices"]),
      waves=config["disc_embed_dim"],
      out=config["disc_c_dim"],
    ),
  )


def weights_of(method, params):
  """Teacher and student are one network."""
  tree = table.import_tree(convert.full(method), params)
  students = {"teacher": tree["params"]["student"]}
  return methods.Weights(tree["params"], tree["extra"], students)


def run(case):
  m = build(case.config)
  weights = weights_of(m, case.params)
  inputs = {
    name: golden_kit.images(x) if x.ndim == 4 else jnp.asarray(x)
    for name, x in case.inputs.items()
  }
  found = tables(m) | base(m, weights, inputs) | distilled(m, weights, inputs)
  found = {n: nchw(x) if np.ndim(x) > 3 else x for n, x in found.items()}
  return golden_kit.asked(case, found)


def tables(m):
  q = m.noise.process.posterior()
  return {
    "sqrt_etas": m.noise.process.root,
    "posterior_variance": q.var,
    "posterior_mean_coef1": q.of_x,
    "posterior_mean_coef2": q.of_x0,
  }


def base(m, weights, i):
  """ResShift: a step of training, the posterior, and the walk."""
  params, low, t = weights.params["student"], i["lq_cond"], i["t"]
  y = m.space.encoded(weights, i["lq"], {})
  z_t = m.noise.add(i["gt"], y, t, i["noise"])
  x0 = m.network(params, z_t, t, low)
  q = m.noise.process.posterior()
  at = lambda a: jnp.asarray(a, jnp.float32)[t][:, None, None, None]
  walk, records = tad_sr.TEACHER.walk(
    m.noise,
    lambda x, t: m.network(params, x, t, low),
    y=y,
    normal=lambda _: i["noise"],
    callback=sampler.trajectory,
  )
  states = records["x"] + y
  return {
    "z_y": y,
    "z_t": z_t,
    "x0_pred": x0,
    "mse": ((x0 - i["gt"]) ** 2).mean((1, 2, 3)),
    "posterior_mean": at(q.of_x) * z_t + at(q.of_x0) * x0,
    "posterior_log_var": jnp.broadcast_to(at(q.log_var), x0.shape),
    "x_T": m.noise.start(y, i["noise"]),
    "teacher_ddim": states.at[-1].set(walk),
  }


def distilled(m, weights, i):
  """TAD-SR: all losses of one student."""
  y = m.space.encoded(weights, i["lq"], {})
  it = tad_sr.Step(weights, restored.Seen(i["gt"], y, i["lq_cond"]), i)
  student = weights.params["student"]
  made = m.once(student, *it.seen[1:], i["noise"]) + i["student_offset"]
  taught = m.taught(it)
  terms = m.terms(it, made, taught)
  found = {"student_out": made, "loss_reg": terms["regression"]}
  for name, twice in (("", True), ("_single_scaling", False)):
    hsd = dataclasses.replace(m.hsd, double_scale=twice)
    both = dict(student=made, teacher=taught, y=y, draws=i)
    sees = (m.noise, m.teaches(it))
    found[f"hsd_grad{name}"] = hsd.gap(*sees, **both)
    found[f"loss_hsd{name}"] = hsd.loss(*sees, **both)
  real, fake = m.judged(it, [i["gt"], made])
  noised = m.noise.add(made, y, i["disc_t"], i["disc_noise"])
  maps = m.inside(student, noised, i["disc_t"], i["lq_cond"])
  found |= {f"feat_fake{k}": x for k, x in enumerate(m.critic.picked(maps))}
  return found | {
    "disc_real": real,
    "disc_fake": fake,
    "loss_D": m.critic.hinge(real, fake),
    "loss_G": terms.get("adversarial", jnp.zeros(len(y))),
    "loss_student": sum(terms.values()),
  }
