"""I-JEPA (facebookresearch/ijepa): loss, gradients, momentum."""

import dataclasses

import einops
import jax
import jax.numpy as jnp
import optax

from jmim.convert import table
from jmim.convert.tables import ijepa as convert
from jmim.methods.mim import ijepa

SKIPPED = {}


def method(config):
  assert config["mlp_ratio"] == 4
  assert config["layernorm_eps_encoder"] == 1e-6
  assert config["layernorm_eps_target_normalisation"] == 1e-5
  return ijepa.IJEPA(
    variant=f"Ti/{config['patch_size']}",
    size=config["img_size"],
    width=config["embed_dim"],
    depth=config["depth"],
    heads=config["num_heads"],
    predictor_width=config["predictor_embed_dim"],
    predictor_depth=config["predictor_depth"],
    predictor_heads=config["predictor_num_heads"],
    targets=config["num_target_masks"],
    target_scale=tuple(config["pred_mask_scale"]),
    target_aspect=tuple(config["aspect_ratio"]),
    context_scale=tuple(config["enc_mask_scale"]),
    min_keep=config["min_keep"],
    momentum=config["ema_momentum_for_out_ema"],
  )


def run(case):
  m = method(case.config)
  m.inputs()
  part = lambda p: {
    k.removeprefix(p): v for k, v in case.params.items() if k.startswith(p)
  }
  own, context = convert.predictor(m), convert.encoder(m, "encoder/")
  params = {
    "main": {
      **table.import_tree(context, part("encoder.")),
      **table.import_tree(own, part("predictor.")),
    }
  }
  target = table.import_tree(convert.encoder(m), part("target_encoder."))
  extra = {"target": target}
  image = einops.rearrange(case.inputs["image"], "b c h w -> b h w c")
  batch, draws = {"image": jnp.asarray(image)}, {}
  for name, theirs in (("context", "context"), ("targets", "target")):
    ids = jnp.asarray(case.inputs[f"masks_{theirs}"]).swapaxes(0, 1)
    draws |= {name: ids, f"{name}_valid": jnp.ones(ids.shape, bool)}

  def loss_of(params):
    return m.loss("main", params, extra, {}, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  out = jax.jit(m.forward)(params, extra, batch, draws)
  moved = dataclasses.replace(m, momentum_steps=0).after(
    "main", params, extra, {}, 0
  )
  theirs = table.export_tree(convert.encoder(m), moved["target"])
  grads = grads["main"]
  return {
    "context": out["context"],
    "pred": out["pred"],
    "target": out["target"],
    "target_full": out["target_full"],
    "loss": loss,
    "gradnorm_encoder": optax.global_norm(grads["encoder"]),
    "gradnorm_predictor": optax.global_norm(grads["predictor"]),
    "grad_mask_token": grads["predictor"]["mask_token"],
    "ema_block0_qkv": theirs["blocks.0.attn.qkv.weight"],
  }
