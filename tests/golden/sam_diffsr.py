"""SAM-DiffSR (lose4578/SAM-DiffSR): map, noise, loss, a step, the sampler."""

import functools

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import sam_diffsr as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import sampler
from jmim.diffusion import solvers
from jmim.methods.restore import sam_diffsr
from jmim.nn import losses
from jmim.nn import structure
from jmim.nn.nets import srdiff

SKIPPED = {}
ALSO = ("restore.rrdb",)  # whose network is frozen in it
# Switches of the released code that its configs leave off, as the card has it.
OFF = ("up_input", "use_wn", "use_attn", "weight_init")
# Of residuals their linear schedule ends in nearly pure noise.
SCHEDULES = {"cosine": "cosine", "linear": "linear_last"}


def run(case):
  m = method(case.config)
  images = {k: x for k, x in case.inputs.items() if k not in ("masks", "t")}
  images.pop("step_noise", None)
  i = {k: golden_kit.images(x) for k, x in images.items()}
  held = golden_kit.below(case.params, "rrdb.")
  own = {k: x for k, x in case.params.items() if k.startswith("denoise_fn.")}
  weights = methods.Weights(
    {"main": table.import_tree(convert.second(m), own)},
    consts={"rrdb": table.import_tree(convert.encoder(frozen(m, held)), held)},
  )
  made = noised(m, case, i) | tables(m)
  t = jnp.asarray(case.inputs["t"])
  run = jax.jit(lambda w, x: denoised(m, frozen(m, held), w, given=x, t=t))
  found = run(weights, {"x_t": made["x_t"], "img_lr": i["img_lr"]})
  gap = made["noise_modulated"] - found["noise_pred"]
  made |= {"loss": losses.DISTANCES[m.distance](gap).mean()}
  made |= stepped(m, case, made["x_t"], found["noise_pred"])
  made |= sampled(m, case, weights, found.pop("seen")) | found
  made = {k: nchw(x) if x.ndim == 4 else x for k, x in made.items()}
  return golden_kit.asked(case, made)


def nchw(x):
  return np.moveaxis(np.asarray(x), -1, 1)


def frozen(m, held):
  """Their RRDB doubles the side at least twice, whatever the factor."""
  doublings = sum(f"upconv{n}.weight" in held for n in (1, 2, 3))
  return m.small.net(2**doublings, m.channels)


def noised(m, case, i):
  """The map of masks, the modulated noise, and x_t."""
  b, *sides = i["img_hr"].shape[:3]
  masks = case.inputs.get("masks", np.zeros((b, 0, *sides)))
  found = np.stack([structure.of_masks(x, tuple(sides)) for x in masks])
  maps = m.structure.maps({"structure": jnp.asarray(found)})
  t = jnp.asarray(case.inputs["t"])
  x = m.small.residual(i["img_hr"], i["img_lr_up"])
  eps = m.structure.modulated(i["noise"], maps, t, m.noise.process)
  x_t, _, _ = m.noise.add(x, t, eps)
  return {
    "sam_embed": found[..., None],
    "res_target": x,
    "noise_modulated": eps,
    "x_t": x_t,
  }


def tables(m):
  process = m.noise.process
  return {
    "betas": process.beta,
    "alphas_cumprod": process.power,
    "mask_coefficient": process.noise * process.beta,
  }


def denoised(m, net, weights, *, given, t):
  """What RRDB makes and what is seen of it, and the predicted noise."""
  params = {"params": weights.consts["rrdb"]}
  image, features = net.apply(params, given["img_lr"])
  seen = srdiff.read(features)
  eps = m.network(weights.params, given["x_t"], t, seen)
  return {"rrdb_out": image, "seen": seen, "noise_pred": eps}


def walk(m, path, network, **start):
  """(last state, x0 of each call) along a path; start: x, noise, seen."""
  step = solvers.make(m.sampling.sampler, path, kind=m.noise.variance)
  denoise = m.sampling.denoiser(
    network,
    lambda raw, x, level: m.noise.output(
      raw, x, level, channels=m.channels, clip=m.sampling.clip
    ),
    condition=(start["seen"], None),
    end=m.noise.end,
    channels=m.channels,
  )
  last, states = sampler.sample(
    step, denoise, start["x"], start["noise"], callback=sampler.trajectory
  )
  return last, states["x0"]


def stepped(m, case, x_t, eps):
  """x0 and one step from x_t at the times of the batch, given the noise."""
  path, rows = m.noise.process.levels(), []
  noise = golden_kit.images(case.inputs["p_noise"])
  for b, t in enumerate(case.inputs["t"]):
    call, one = len(path) - 1 - int(t), slice(b, b + 1)
    found = walk(
      m,
      path.part(call, call + 1),
      lambda x, t, seen: seen,
      x=x_t[one],
      noise=noise[None, one],
      seen=eps[one],
    )
    rows.append(found)
  prev, x0 = zip(*rows, strict=True)
  x0 = [x[0] for x in x0]
  return {"x_prev": jnp.concatenate(prev), "x0_pred": jnp.concatenate(x0)}


def sampled(m, case, weights, seen):
  """A whole sample from recorded noise."""
  order = "n b c h w -> n b h w c"
  noise = jnp.asarray(einops.rearrange(case.inputs["step_noise"], order))
  last, _ = walk(
    m,
    m.noise.process.levels(),
    functools.partial(m.network, weights.params),
    x=golden_kit.images(case.inputs["x_T"]),
    noise=noise,
    seen=seen,
  )
  enlarged = golden_kit.images(case.inputs["img_lr_up"])
  return {"sample": m.small.completed(last, enlarged)}


def method(config):
  """Theirs, whatever the sizes."""
  c, sam = config, config["sam_config"]
  wrong = [name for name in OFF if c.get(name)]
  assert not wrong and c["beta_s"] == 0.008 and not sam["cond_sam"], wrong
  assert c["clip_input"] and c["use_rrdb"] and c["res"] and not c["gn_groups"]
  return field.replace(
    sam_diffsr.SAMDiffSR(),
    dims=dict(width=c["unet_dim"], multipliers=tuple(c["unet_dim_mults"])),
    small=dict(
      dims=dict(
        width=c["rrdb_num_feat"],
        growth=c["rrdb_growth"],
        blocks=c["rrdb_num_block"],
      ),
      scale=c["res_rescale"],
    ),
    degraded=dict(factor=c["sr_scale"]),
    noise=dict(
      schedule=SCHEDULES[c["beta_schedule"]],
      times=c["timesteps"],
      beta_end=c["beta_end"],
    ),
    sampling=dict(steps=c["timesteps"]),
    structure=dict(
      read="stored" if sam["p_losses_sam"] else "none",
      weighted=sam["mask_coefficient"],
    ),
    distance=c["loss_type"],
  )
