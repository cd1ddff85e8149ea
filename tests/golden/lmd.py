"""LMD (AnonymousPony/lmd): schedules, and a forward pass on given latents."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert.tables import lmd as convert
from jmim.core import field
from jmim.core import method as methods
from jmim.methods.mim import lmd

SKIPPED = {
  "piecewise_as_released": "a commented-out branch of their code whose second "
  "ramp is not re-based: the ratio passes 1",
}


def method(config):
  # A constant of the networks, not an option of them.
  assert config["layer_norm_eps"] == 1e-6
  return field.replace(
    lmd.LMD(),
    first_stage={"variant": "none"},  # latents are given
    size=config["img_size"],
    channels=config["in_chans"],
    dims=dict(
      variant=f"Ti/{config['patch_size']}",
      width=config["embed_dim"],
      depth=config["depth"],
      heads=config["num_heads"],
      mlp_ratio=float(config["mlp_ratio"]),
    ),
    decoder_dims=dict(
      width=config["decoder_embed_dim"],
      depth=config["decoder_depth"],
      heads=config["decoder_num_heads"],
    ),
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
    curriculum=dict(name="fixed", steps=config["total_steps"]),
  )


def schedules(m):
  """Of all steps; the cosine up to the first that has its end."""
  steps, end = m.curriculum.steps, lmd.LMD().mask_ratio
  made = lambda name: field.replace(m, curriculum={"name": name}).curriculum
  return {
    "cosine_schedule": made("cosine").ratios(end),
    "piecewise_intended": made("piecewise").ratios(end, steps),
  }


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  # The ratio beside the config is its single precision, which counts another
  # number of tokens at times.
  np.testing.assert_allclose(case.inputs["ratio"], m.mask_ratio, rtol=1e-6)
  names = convert.full(m)
  batch = {"image": golden_kit.images(case.inputs["latents"])}
  assert len(batch["image"]) == case.config["batch"]
  params = golden_kit.import_main(m, names, case.params, batch)
  draws = {"noise": jnp.asarray(case.inputs["mask_noise"])}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  outputs = {
    "encoded": out["latent"],
    "pred": out["pred"],
    "mask": out["mask"].mask,
    "target": field.replace(m, norm_pix=False).target(batch["image"]),
    "loss": loss,
    **schedules(m),
    **golden_kit.named_grads(case, names, grads),
  }
  return golden_kit.asked(case, outputs)
