"""DiffDub's renderer (liutaocode/DiffDub): code, noising, loss, DDIM."""

import re

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import diffdub as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.diffusion import respace
from jmim.diffusion import targets
from jmim.methods.edit import diffdub
from jmim.methods.parts import shown_frames

SKIPPED = {}
BETAS = re.compile(r"linear (\S+?)\.\.(\S+), (\d+) steps")


def nchw(x):
  return einops.rearrange(np.asarray(x), "... h w c -> ... c h w")


def dims(config, prefix=""):
  """Of the UNet, or (prefix "enc_") of the encoder."""
  sides = config["attention_resolutions"]
  if prefix:
    sides = config["enc_attn_resolutions"] or sides
  blocks = "enc_num_res_block" if prefix else "num_res_blocks"
  return dict(
    width=config["model_channels"],
    multipliers=tuple(config[f"{prefix}channel_mult"]),
    blocks=config[blocks],
    attend_at=tuple(config["image_size"] // side for side in sides),
    heads=0 if config["num_head_channels"] > 0 else config["num_heads"],
    head_width=max(config["num_head_channels"], 1),
    up_heads=max(config["num_heads_upsample"], 0),
    norm_groups=config["group_norm_groups"],
    updown=config["resblock_updown"],
  )


def build(case):
  config = case.config
  start, end, times = BETAS.match(config["beta_schedule"]).groups()
  shown = case.params["input_blocks.0.0.weight"].shape[1]
  return field.replace(
    diffdub.DiffDub(),
    size=config["image_size"],
    channels=config["in_channels"],
    references=shown // config["in_channels"] - 1,
    width=config["embed_channels"],
    dims=dims(config),
    encoder=dims(config, "enc_"),
    noise=dict(times=int(times), beta_start=float(start), beta_end=float(end)),
    sampling=dict(steps=config["sampler_steps"]),
  )


def run(case):
  m, i = build(case), case.inputs
  x, crop, noise, start = (
    golden_kit.images(i[name])
    for name in ("x_start", "cond_image", "noise", "x_T")
  )
  # Several references, of a case that has them, come one after the other.
  beside = golden_kit.images(i["ref_image"]) if m.references else x[..., :0]
  keep = jnp.asarray(i.get("keep_mask", np.zeros(x.shape, np.float32)))
  draws = {"t": jnp.asarray(i["t"]), "noise": noise}
  weights = methods.Weights(
    golden_kit.import_main(m, convert.networks(m), case.params, {})
  )

  @jax.jit
  def found(params):
    code = m.nets.encode(params["main"], crop)
    shown = shown_frames.Shown(x=x, beside=beside, points=None)
    made = m.frames(methods.Weights(params))
    loss, x_t, eps = made.error(shown, keep, code=code, draws=draws)
    a, s = (c[:, None, None, None] for c in m.noise.process.at(draws["t"]))
    x0 = targets.to_x0("eps", eps, x_t, a=a, s=s)
    network = lambda x, t: m.nets.noise(
      params["main"], x, t, beside=beside, code=code
    )
    _, trace = m.clean.walk(
      m.noise,
      m.sampling,
      network=network,
      keep=keep,
      known=x,
      start=start,
      normal=lambda call: jnp.zeros_like(x),
    )
    images = {"x_t": x_t, "eps_pred": eps, "pred_xstart": x0}
    return code, loss, images | {"ddim_trace": trace}

  code, loss, images = found(weights.params)
  visited = respace.visited(m.noise.spacing, m.noise.times, m.sampling.steps)
  visited = np.sort(visited)
  tables = {
    "timestep_map": np.asarray(visited, np.int64),
    "spaced_alphas_cumprod": m.noise.process.power[visited],
  }
  images = {name: nchw(image) for name, image in images.items()}
  made = {"z_sem": code, "loss": loss, **images, **tables}
  return golden_kit.asked(case, made)
