"""VideoMAE V2 (OpenGVLab/VideoMAEv2): one dual-masking step."""

import math

import einops
import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jmim.convert.tables import videomae_v2 as convert
from jmim.core import method as methods
from jmim.masks import tubes
from jmim.methods.parts import dual_masks
from jmim.methods.video import videomae_v2
from jmim.nn import sizes
from jmim.nn.nets import video

SKIPPED = {}


def method(config):
  assert config["layernorm_eps"] == 1e-6  # a constant of the networks
  enc, dec = config["enc"], config["dec"]
  return videomae_v2.VideoMAE(
    size=config["img_size"],
    frames=config["frames"],
    tubelet=config["tubelet"],
    dims=sizes.Dims(
      variant=f"Ti/{config['patch_size']}",
      width=enc["dim"],
      depth=enc["depth"],
      heads=enc["heads"],
      mlp_ratio=float(enc.get("mlp_ratio", 4)),
    ),
    decoder_dims=sizes.Blocks(
      width=dec["dim"], depth=dec["depth"], heads=dec["heads"]
    ),
    masks=dual_masks.Masks(
      mask_ratio=config["encoder_mask_ratio"],
      decoder_ratio=config["decoder_mask_ratio"],
    ),
    normalise=config["normalize_target"],
    cosine=config.get("cos_attn", False),
    layer_scale=float(config.get("init_values") or 0),
  )


def run(case):
  m = method(case.config)
  m.inputs()  # checks that the case fits together
  names = convert.full(m)
  clips = einops.rearrange(case.inputs["video"], "b c t h w -> b t h w c")
  batch = {"video": jnp.asarray(clips)}
  params = golden_kit.import_main(m, names, case.params, batch)
  flat = lambda name: jnp.asarray(
    case.inputs[name].reshape(len(clips), -1), bool
  )
  draws = {"hidden": flat("encoder_mask"), "left": flat("decoder_mask")}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  t, h, w = m.grid
  phases = jnp.arange(4)
  maps = tubes.running_cell(phases, m.masks.decoder_ratio, t, (h, w))
  table = video.sinusoid(math.prod(m.grid), m.dims.size.width)
  outputs = {
    "x_vis": out["latent"],
    "pred": out["pred"],
    "labels": out["target"],
    "loss_weight": out["weight"],
    "loss": loss,
    "grad_norm": optax.global_norm(grads),
    "run_cell_maps": np.asarray(maps).reshape(4, t, h * w).astype(np.uint8),
    "pos_embed_encoder": table[None],
    **golden_kit.named_grads(case, names, grads),
  }
  return {k: v for k, v in outputs.items() if k in case.outputs}
