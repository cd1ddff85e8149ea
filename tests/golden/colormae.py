"""ColorMAE: filters, windows and masks.

The golden masks come from the float32 patterns in the case; ours differ from
them in the last bits, which could swap two patches. So windows and masks are
made from theirs, filters and patterns from the white noise.
"""

import jax
import jax.numpy as jnp

from jmim.masks import coloured as noise
from jmim.methods.mim import colormae

SKIPPED = {}


def run(case):
  config = case.config
  m = colormae.ColorMAE(
    variant="Ti/4",
    size=4 * config["window"],
    mask_ratio=config["mask_ratio"],
    pattern_size=config["pattern_size"],
    sigma_red=config["sigma_red"],
    sigma_blue=config["sigma_blue"],
    sigma_green=tuple(config["sigma_green"]),
    patterns=config["patterns"],
  )
  m.inputs()
  white, found = jnp.asarray(case.inputs["white"]), {}
  for colour in sorted({name.split("/")[0] for name in case.outputs}):
    mine = jax.jit(noise.filtered)(white, m.response(colour))
    theirs = jnp.asarray(case.outputs[f"{colour}/pattern"])
    crop = jnp.asarray(case.inputs["crop"])
    windows = noise.window(theirs, crop, config["window"])
    index = jnp.arange(config["batch"]) % config["patterns"]
    windows = windows[index]
    mask = m.mask({"noise": -windows.reshape(len(windows), -1)})
    top = windows.max((1, 2), keepdims=True)
    found |= {
      f"{colour}/filtered": mine,
      f"{colour}/pattern": noise.rescale(mine),
      f"{colour}/windows": windows / top,
      f"{colour}/mask": mask.mask,
      f"{colour}/ids_keep": mask.keep,
      f"{colour}/ids_restore": mask.restore,
    }
  return found
