"""VideoMAE V2 (OpenGVLab/VideoMAEv2): one dual-masking step."""

import einops
import jax
import jax.numpy as jnp
import numpy as np
import optax

from jmim.convert import table
from jmim.convert.tables import videomae_v2 as convert
from jmim.methods.video import videomae_v2
from jmim.nn.nets import video

SKIPPED = {}


def method(config):
  assert config["layernorm_eps"] == 1e-6
  enc, dec = config["enc"], config["dec"]
  return videomae_v2.VideoMAE(
    variant=f"Ti/{config['patch_size']}",
    size=config["img_size"],
    frames=config["frames"],
    tubelet=config["tubelet"],
    width=enc["dim"],
    depth=enc["depth"],
    heads=enc["heads"],
    decoder_width=dec["dim"],
    decoder_depth=dec["depth"],
    decoder_heads=dec["heads"],
    mask_ratio=config["encoder_mask_ratio"],
    decoder_ratio=config["decoder_mask_ratio"],
    normalise=config["normalize_target"],
  )


def run(case):
  m = method(case.config)
  m.inputs()
  names = convert.full(m)
  params = {"main": table.import_tree(names, case.params)}
  clips = einops.rearrange(case.inputs["video"], "b c t h w -> b t h w c")
  batch = {"video": jnp.asarray(clips)}
  flat = lambda name: jnp.asarray(
    case.inputs[name].reshape(len(clips), -1), bool
  )
  draws = {"hidden": flat("encoder_mask"), "left": flat("decoder_mask")}

  def loss_of(params):
    return m.loss("main", params, {}, {}, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  out = jax.jit(m.forward)(params, batch, draws)
  theirs = table.export_tree(names, grads["main"], constants=False)
  t, h, w = m.grid
  phases = jnp.arange(4)
  maps = video.running_cell(phases, m.decoder_ratio, t, (h, w))
  found = {
    "x_vis": out["latent"],
    "pred": out["pred"],
    "labels": out["target"],
    "loss_weight": out["weight"],
    "loss": loss,
    "grad_norm": optax.global_norm(grads),
    "run_cell_maps": np.asarray(maps).reshape(4, t, h * w).astype(np.uint8),
    "pos_embed_encoder": video.sinusoid(t * h * w, m.encoder.size.width)[None],
    **{
      name: theirs[name.removeprefix("grad/")]
      for name in case.outputs
      if name.startswith("grad/")
    },
  }
  return {k: v for k, v in found.items() if k in case.outputs}
