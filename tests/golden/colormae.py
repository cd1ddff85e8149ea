"""ColorMAE: filters, windows and masks.

The golden masks come from the float32 patterns in the case; ours differ from
them in the last bits, which could swap two patches. So windows and masks are
made from theirs, filters and patterns from the white noise.
"""

import jax
import jax.numpy as jnp

from jmim.masks import coloured
from jmim.methods.mim import colormae
from jmim.nn import sizes

SKIPPED = {}


def method(config):
  return colormae.ColorMAE(
    size=4 * config["window"],
    dims=sizes.Dims(variant="Ti/4"),
    mask_ratio=config["mask_ratio"],
    pattern_size=config["pattern_size"],
    sigma_red=float(config["sigma_red"]),
    sigma_blue=float(config["sigma_blue"]),
    sigma_green=tuple(config["sigma_green"]),
    patterns=config["patterns"],
  )


def run(case):
  config = case.config
  m = method(config)
  m.inputs()  # checks that the case fits together
  white, crop = (jnp.asarray(case.inputs[name]) for name in ("white", "crop"))
  outputs = {}
  for colour in sorted({name.split("/")[0] for name in case.outputs}):
    filtered = jax.jit(coloured.filtered)(white, m.response(colour))
    patterns = jnp.asarray(case.outputs[f"{colour}/pattern"])
    windows = coloured.window(patterns, crop, config["window"])
    windows = windows[jnp.arange(config["batch"]) % config["patterns"]]
    mask = m.mask({"noise": -windows.reshape(len(windows), -1)})
    top = windows.max((1, 2), keepdims=True)
    outputs |= {
      f"{colour}/filtered": filtered,
      f"{colour}/pattern": coloured.rescale(filtered),
      f"{colour}/windows": windows / top,
      f"{colour}/mask": mask.mask,
      f"{colour}/ids_keep": mask.keep,
      f"{colour}/ids_restore": mask.restore,
    }
  return outputs
