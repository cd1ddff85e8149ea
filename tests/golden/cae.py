"""CAE (Atten4Vis/CAE): latents, losses, gradients."""

import einops
import jax
import jax.numpy as jnp
import numpy as np

from jmim.convert import table
from jmim.convert.tables import cae as convert
from jmim.methods.mim import cae

SKIPPED = {}


def method(config):
  assert config["layernorm_eps"] == 1e-6
  return cae.CAE(
    variant=f"Ti/{config['patch_size']}",
    size=config["img_size"],
    width=config["embed_dim"],
    depth=config["depth"],
    heads=config["heads"],
    layer_scale=config["layer_scale_init"],
    decoder_width=config["decoder_embed_dim"],
    decoder_heads=config["decoder_heads"],
    decoder_scale=config["layer_scale_init"],
    regressor_depth=config["regressor_depth"],
    decoder_depth=config["decoder_depth"],
    vocabulary=config["vocab"],
    masked=config["num_masked"],
    align=config["align_weight"],
    drop_path=0.0,
  )


def run(case):
  m = method(case.config)
  m.inputs()
  names = convert.full(m)
  params = {"main": table.import_tree(names, case.params)}
  image = einops.rearrange(case.inputs["imgs"], "b c h w -> b h w c")
  tokens = jnp.asarray(case.inputs["token_ids"])
  batch = {"image": jnp.asarray(image), "tokens": tokens}
  mask = np.asarray(case.inputs["mask"], bool)
  draws = {"mask": jnp.asarray(mask.reshape(len(mask), -1))}

  def loss_of(params):
    return m.loss("main", params, {}, {}, batch, draws, 0)

  grad = jax.jit(jax.value_and_grad(loss_of, has_aux=True))
  (loss, aux), grads = grad(params)
  out = jax.jit(m.forward)(params, batch, draws)
  theirs = table.export_tree(names, grads["main"], constants=False)
  return {
    "encoder_visible": out["visible"],
    "latent_pred": out["pred"],
    "latent_target": out["target"],
    "logits": einops.rearrange(out["logits"], "b m v -> (b m) v"),
    "loss_main": aux["main"],
    "loss_align": m.align * aux["align"],
    "loss": loss,
    **{
      name: theirs[name.removeprefix("grad/")]
      for name in case.outputs
      if name.startswith("grad/")
    },
  }
