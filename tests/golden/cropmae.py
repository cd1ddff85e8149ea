"""CropMAE (alexandre-eymael/CropMAE): loss and gradient, dropout off."""

import einops
import jax
import jax.numpy as jnp

from jmim.convert import table
from jmim.convert.tables import cropmae as convert
from jmim.methods.mim import cropmae

SKIPPED = {}


def method(config):
  assert config["encoder_layernorm_eps"] == 1e-6
  return cropmae.CropMAE(
    variant=f"Ti/{config['patch_size']}",
    size=config["img_size"],
    width=config["embed_dim"],
    depth=config["depth"],
    heads=config["num_heads"],
    mlp_ratio=float(config["mlp_ratio"]),
    decoder_width=config["decoder_embed_dim"],
    decoder_depth=config["decoder_depth"],
    decoder_heads=config["decoder_num_heads"],
    decoder_mlp=config["decoder_feedforward_dim"],
    dropout=0.0,
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
  )


def run(case):
  m = method(case.config)
  m.inputs()
  names = convert.full(m)
  params = {"main": table.import_tree(names, case.params)}
  views = einops.rearrange(case.inputs["views"], "b v c h w -> b v h w c")
  batch = {"views": jnp.asarray(views)}
  draws = {"noise": jnp.asarray(case.inputs["noise"])}

  def loss_of(params):
    return m.loss("main", params, {}, {}, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  out = jax.jit(m.forward)(params, batch, draws)
  assert out["mask"].keep.shape[1] == case.config["visible_patches"]
  theirs = table.export_tree(names, grads["main"], constants=False)
  return {
    "loss": loss,
    "pred": out["pred"],
    "mask": out["mask"].mask,
    "ids_restore": out["mask"].restore,
    "latent_global": out["source"],
    "latent_local": out["latent"],
    "grad_mask_token": theirs["mask_token"],
  }
