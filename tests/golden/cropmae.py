"""CropMAE (alexandre-eymael/CropMAE): loss and gradient, dropout off."""

import einops
import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert import table
from jmim.convert.tables import cropmae as convert
from jmim.core import method as methods
from jmim.methods.mim import cropmae

SKIPPED = {}


def method(config):
  assert config["encoder_layernorm_eps"] == 1e-6  # a constant of the network
  return cropmae.CropMAE(
    size=config["img_size"],
    dims=golden_kit.dims(config),
    decoder_dims=golden_kit.blocks(config),
    decoder_mlp=config["decoder_feedforward_dim"],
    dropout=0.0,
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  names = convert.full(m)
  views = einops.rearrange(case.inputs["views"], "b v c h w -> b v h w c")
  batch = {"views": jnp.asarray(views)}
  params = golden_kit.import_main(m, names, case.params, batch)
  draws = {"noise": jnp.asarray(case.inputs["noise"])}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  assert out["mask"].keep.shape[1] == case.config["visible_patches"]
  theirs = table.export_tree(names, grads, constants=False)
  return {
    "loss": loss,
    "pred": out["pred"],
    "mask": out["mask"].mask,
    "ids_restore": out["mask"].restore,
    "latent_global": out["source"],
    "latent_local": out["latent"],
    "grad_mask_token": theirs["mask_token"],
  }
