"""CAE (Atten4Vis/CAE): latents, losses, gradients."""

import einops
import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert.tables import cae as convert
from jmim.core import method as methods
from jmim.methods.mim import cae
from jmim.methods.parts import regressor
from jmim.methods.parts import tokenizer
from jmim.nn import sizes

SKIPPED = {}


def method(config):
  assert config["layernorm_eps"] == 1e-6  # a constant of the network
  scale = float(config["layer_scale_init"] or 0)
  return cae.CAE(
    size=config["img_size"],
    dims=sizes.Dims(
      variant=f"Ti/{config['patch_size']}",
      width=config["embed_dim"],
      depth=config["depth"],
      heads=config["heads"],
    ),
    layer_scale=scale,
    regressor=regressor.Regressor(
      width=config["decoder_embed_dim"],
      depth=config["regressor_depth"],
      heads=config["decoder_heads"],
      layer_scale=scale,
      decoder_depth=config["decoder_depth"],
    ),
    tokenizer=tokenizer.Tokenizer(vocabulary=config["vocab"]),
    masked=config["num_masked"],
    align=float(config["align_weight"]),
    drop_path=0.0,
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  names = convert.full(m)
  tokens = jnp.asarray(case.inputs["token_ids"])
  batch = {"image": golden_kit.images(case.inputs["imgs"]), "tokens": tokens}
  params = golden_kit.import_main(m, names, case.params, batch)
  mask = jnp.asarray(case.inputs["mask"], bool)
  draws = {"mask": mask.reshape(len(mask), -1)}
  weights = methods.Weights(params)
  (loss, aux), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  return {
    "encoder_visible": out["visible"],
    "latent_pred": out["pred"],
    "latent_target": out["target"],
    "logits": einops.rearrange(out["logits"], "b m v -> (b m) v"),
    "loss_main": aux["main"],
    "loss_align": m.align * aux["align"],
    "loss": loss,
    **golden_kit.named_grads(case, names, grads),
  }
