"""DiffIR (Zj-BinXia/DiffIR): both stages, and the walk between vectors."""

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import diffir as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import coefficients
from jmim.methods.restore import diffir
from jmim.methods.restore import diffir_prior

SKIPPED = {}
NORMS = {"WithBias": "with_bias", "BiasFree": "bias_free"}


def nchw(x):
  return einops.rearrange(np.asarray(x), "b h w c -> b c h w")


def options(config, names):
  """What both stages share; names: of the weights.

  A network that keeps the side either ends in Restormer's `output`, or has its
  pixels folded first as all others have.
  """
  scale = config.get("scale", 1)
  flat = any(name.endswith("G.output.weight") for name in names)
  return dict(
    dims=dict(
      width=config["dim"],
      blocks=tuple(config["num_blocks"]),
      refinement=config["num_refinement_blocks"],
      heads=tuple(config["heads"]),
      ratio=config["ffn_expansion_factor"],
      norm=NORMS[config["LayerNorm_type"]],
      unshuffle=1 if flat else 4 // scale,
    ),
    prior=dict(width=config["cpen_n_feats"], blocks=config["n_encoder_res"]),
    degraded=dict(degradation="pairs", factor=scale),
  )


def stages(config, names):
  """The methods of both stages."""
  shared = options(config, names)
  first = field.replace(diffir_prior.DiffIRPrior(), **shared)
  walk = dict(
    times=config["timesteps"],
    beta_start=config["linear_start"],
    beta_end=config["linear_end"],
    blocks=config["n_denoise_res"],
  )
  second = field.replace(diffir.DiffIR(), **shared, walk=walk)
  assert first.prior.vector == config["ipr_dim"]
  return first, second


def paired(method, low, high):
  """A batch of stored pairs, as the method reads it."""
  if method.degraded.factor == 1:
    return {"pair": jnp.stack([low, high], axis=1)}
  return {"low": low, "high": high}


def held(method, rules, case, *, prefix, batch):
  theirs = golden_kit.below(case.params, prefix)
  return golden_kit.import_main(method, rules, theirs, batch)


def run(case):
  first, second = stages(case.config, case.params)
  y, x = (golden_kit.images(case.inputs[n]) for n in ("lq", "gt"))
  batch = paired(first, y, x)
  one = methods.Weights(
    held(first, convert.first(first), case, prefix="S1.", batch=batch)
  )
  two = methods.Weights(
    held(second, convert.second(second), case, prefix="S2.", batch=batch),
    consts={diffir.FIRST: one.params["main"]["encoder"]},
  )
  noise, start = (jnp.asarray(case.inputs[n]) for n in ("q_noise", "x_T"))

  @jax.jit
  def vectors(one, two):
    z, params = first.read(one.params["main"], y, x), two.params["main"]
    steps = second.walked(params, y, second.walk.noised(z, noise))
    return z, steps, second.walked(params, y, start)[-1]

  # One program restores all: both stages have the same network.
  restored = jax.jit(lambda net, z: first.restored({"net": net}, y, z))
  networks = [w.params["main"]["net"] for w in (one, two)]
  z, steps, guessed = vectors(one, two)
  loss, _ = jax.jit(first.loss)(one, batch, {}, 0)
  joint, aux = jax.jit(second.loss)(two, batch, {"noise": noise}, 0)
  found = {
    "s1_ipr": z,
    "s1_sr": nchw(restored(networks[0], z)),
    "s1_l1": loss,
    "s2_ipr_steps": steps,
    "s2_sr_train": nchw(restored(networks[1], steps[-1])),
    "s2_sr_infer": nchw(restored(networks[1], guessed)),
    "s2_l_abs": aux["loss_vector"],
    "s2_l_kd": aux["kl"],
    "s2_l_pix": aux["loss_pixels"],
    "s2_joint_loss": joint,
  }
  process, table = second.walk.process, second.walk.table
  found |= {
    "sched_betas": process.beta,
    "sched_alphas_cumprod": process.power,
    # Tables of samplers begin at the last time.
    "sched_posterior_mean_coef1": table.out[::-1, coefficients.X0],
    "sched_posterior_mean_coef2": table.out[::-1, coefficients.X],
  }
  return golden_kit.asked(case, found)
