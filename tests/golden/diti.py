"""DiTi (yue-zhongqi/diti): prefixes, losses and gradients, samplers."""

import dataclasses
import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import _unet as unets
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.diffusion import diti
from jmim.methods.parts import shifted

SKIPPED = {}
# Of the samplers, in the meaning of what they made.
SPACED = ("ddim_shift_sample", r"ddim(\d+)")
GUIDED = ("masked_guided_sample", r"T//(\d+)")
MODES = ("base", "stop_grad", "dual")


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def build(config):
  """The method; without stages the widths of the JSON are none either."""
  name, start, end = golden_kit.schedule_of(config["betas"])
  return field.replace(
    diti.DiTi(),
    size=config["image"],
    dims=dict(
      width=config["base"],
      multipliers=tuple(config["mult"]),
      blocks=config["nrb"],
      attend_at=tuple(config["attn"]),
      heads=config["heads"],
      norm_groups=config["group_norm_groups"],
      wide_stem=True,
    ),
    noise=dict(
      schedule=name, times=config["T"], beta_start=start, beta_end=end
    ),
    blocks=dict(
      width=config["latent_dim"],
      blocks=config["k"],
      stages=numbers(config["stages"]),
      stage_widths=numbers(config["dims_per_stage"]),
    ),
  )


def numbers(given):
  """Of a list, or as the authors' configs have them: "50,100"."""
  if isinstance(given, str):
    given = given.split(",")
  return tuple(int(x) for x in given or ())


def rules(m):
  """Theirs are host and branch in one."""
  nets = m.nets
  return [
    *table.placed(unets.network(nets.host), "", "host/"),
    *table.placed(unets.branch(nets.branch()), "", "branch/"),
  ]


def steps(case, name, pattern):
  """Of a sampler; the config of a case does not have them."""
  if "steps" in case.config:
    return case.config["steps"]
  said = case.info["out"][f"out/{name}"]["meaning"]
  return int(re.search(pattern, said).group(1))


def run(case):
  m = build(case.config)
  trees = jax.tree.map(jnp.asarray, table.import_tree(rules(m), case.params))
  params = {"main": {"branch": trees["branch"]}}  # no case has an encoder
  weights = methods.Weights(params, {}, {"host": trees["host"]})
  return tables(m) | losses(m, weights, case) | samples(m, weights, case)


def tables(m):
  times, published = m.noise.times, diti.DiTi()
  uniform = dataclasses.replace(published.blocks, stages=(), stage_widths=())
  shift, weight = shifted.coefficients(m.noise.process)
  as_int = lambda x: np.asarray(x, np.int32)
  return {
    "t_to_idx": as_int(m.blocks.index(times)),
    "mask_end": as_int(m.blocks.ends(times)),
    "mask_end_official": as_int(published.blocks.ends(published.noise.times)),
    "mask_end_uniform": as_int(uniform.ends(published.noise.times)),
    "shift_coef": shift,
    "weight": weight,
  }


def losses(m, weights, case):
  """Loss and gradient of the code in each mode, and what they are made of."""
  x, z, t = golden_kit.images(case.inputs["x0"]), case.inputs["z"], "t"
  draws = {
    t: jnp.asarray(case.inputs[t]),
    "noise": golden_kit.images(case.inputs["noise"]),
  }
  found = {}
  for mode in MODES:
    chosen = dataclasses.replace(m, mode=mode)

    def loss(z, params, chosen=chosen):
      moved = methods.Weights(params, {}, weights.consts)
      error, *_ = chosen.error(moved, x, z=z, draws=draws)
      return error.mean(), error

    (value, error), (of_z, of_params) = jax.jit(
      jax.value_and_grad(loss, (0, 1), has_aux=True)
    )(jnp.asarray(z), weights.params)
    found |= {f"loss_{mode}": value, f"grad_z_{mode}": of_z}
    if mode == "base":
      kernel = of_params["main"]["branch"]["code_embed"]["kernel"]
      found |= {"loss_map_base": nchw(error), "grad_label_emb": kernel.T}
  return found | parts(m, weights, x=x, z=z, draws=draws)


def parts(m, weights, *, x, z, draws):
  """Noised images, what the host says, and what the branch says."""

  @jax.jit
  def inner(weights):
    t = draws["t"]
    x_t, _, _ = m.noise.add(x, t, draws["noise"])
    eps, taps = m.nets.frozen(weights.consts["host"], x_t, t)
    code = m.blocks.prefix(jnp.asarray(z), t, m.noise.times)
    g = m.nets.correction(weights.params["main"], taps, code)
    return {"x_t": x_t, "eps": eps, "shift": g}

  return {name: nchw(a) for name, a in inner(weights).items()}


def samples(m, weights, case):
  """PDAE's sampler with the whole code; DiTi's, and its inversion."""
  z = jnp.asarray(case.inputs["z"])
  state, x = (golden_kit.images(case.inputs[k]) for k in ("x_T", "x0"))
  n = steps(case, *GUIDED)
  guided = field.replace(m, sampling=dict(steps=n, inversion=n))
  n = steps(case, *SPACED)
  spaced = field.replace(
    m, sampling=dict(path="spaced", masked=False, steps=n, inversion=n)
  )
  walks = {
    "ddim_shift_sample": lambda w: spaced.walks(w).walk(state, z),
    "masked_guided_sample": lambda w: guided.walks(w).walk(state, z),
    "masked_guided_encode": lambda w: guided.walks(w).walk(x, z, True),
  }
  return {name: nchw(jax.jit(f)(weights)) for name, f in walks.items()}
