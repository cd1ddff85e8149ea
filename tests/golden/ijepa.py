"""I-JEPA (facebookresearch/ijepa): loss, gradients, momentum."""

import golden_kit
import jax
import jax.numpy as jnp
import optax

from jmim.convert import table
from jmim.convert.tables import ijepa as convert
from jmim.core import method as methods
from jmim.methods.mim import ijepa
from jmim.methods.parts import momentum
from jmim.methods.parts import multi_block

SKIPPED = {}


def method(config):
  # Constants of the networks and of the target's LayerNorm.
  assert config["layernorm_eps_encoder"] == 1e-6
  assert config["layernorm_eps_target_normalisation"] == 1e-5
  return ijepa.IJEPA(
    size=config["img_size"],
    dims=golden_kit.dims(config),
    predictor_dims=golden_kit.blocks(config, "predictor"),
    masks=multi_block.MultiBlock(
      targets=config["num_target_masks"],
      target_scale=tuple(config["pred_mask_scale"]),
      target_aspect=tuple(config["aspect_ratio"]),
      context_scale=tuple(config["enc_mask_scale"]),
      min_keep=config["min_keep"],
    ),
    target=momentum.Momentum(momentum=config["ema_momentum_for_out_ema"]),
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  batch = {"image": golden_kit.images(case.inputs["image"])}
  like, like_extra = jax.eval_shape(m.init, jax.random.key(0), batch)
  load = lambda rules, prefix, like: golden_kit.import_tree(
    rules, golden_kit.below(case.params, prefix), like
  )
  main, encoder = like["main"], convert.encoder(m)
  context = {"encoder": main["encoder"]}
  predictor = {"predictor": main["predictor"]}
  params = {
    "main": {
      **load(convert.encoder(m, "encoder/"), "encoder.", context),
      **load(convert.predictor(m), "predictor.", predictor),
    }
  }
  target = load(encoder, "target_encoder.", like_extra["target"])
  draws = {}
  for name, theirs in (("context", "context"), ("targets", "target")):
    ids = jnp.asarray(case.inputs[f"masks_{theirs}"]).swapaxes(0, 1)
    draws |= {name: ids, f"{name}_valid": jnp.ones(ids.shape, bool)}
  weights = methods.Weights(params, {"target": target})
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(weights, batch, draws)
  moved = table.export_tree(encoder, m.after(weights, {}, 0)["target"])
  return {
    "context": out["context"],
    "pred": out["pred"],
    "target": out["target"],
    "target_full": out["target_full"],
    "loss": loss,
    "gradnorm_encoder": optax.global_norm(grads["encoder"]),
    "gradnorm_predictor": optax.global_norm(grads["predictor"]),
    "grad_mask_token": grads["predictor"]["mask_token"],
    "ema_block0_qkv": moved["blocks.0.attn.qkv.weight"],
  }
