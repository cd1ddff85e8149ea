"""SimMIM (microsoft/SimMIM): loss and gradients, ViT and Swin."""

import einops
import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert import table
from jmim.convert.tables import simmim as convert
from jmim.core import method as methods
from jmim.methods.mim import simmim
from jmim.methods.parts import backbone

SKIPPED = {}


def network(config):
  """The backbone of a case; a Swin has depths, a ViT one depth."""
  shared = {
    "width": config["embed_dim"],
    "mlp_ratio": float(config["mlp_ratio"]),
    "qkv_bias": config["qkv_bias"],
  }
  if "depths" in config:
    assert config["layernorm_eps"] == 1e-5  # a constant of the network
    return backbone.Backbone(
      variant=f"SwinB/{config['patch_size']}",
      depths=tuple(config["depths"]),
      heads=tuple(config["num_heads"]),
      window=config["window_size"],
      patch_norm=config["patch_norm"],
      positions="learned" if config["absolute_pos_embed"] else "none",
      **shared,
    )
  assert config["layernorm_eps"] == 1e-6  # a constant of the network
  tables = {
    "shared": config["shared_rel_pos_bias"],
    "block": config["per_block_rel_pos_bias"],
    "none": True,
  }
  return backbone.Backbone(
    variant=f"Ti/{config['patch_size']}",
    depths=(config["depth"],),
    heads=(config["num_heads"],),
    layer_scale=float(config["layer_scale_init"] or 0),
    final_norm=config["final_norm"],
    positions="learned" if config["use_abs_pos_emb"] else "none",
    relative=next(name for name, used in tables.items() if used),
    **shared,
  )


def method(config):
  m = simmim.SimMIM(
    size=config["img_size"],
    channels=config["in_chans"],
    backbone=network(config),
    square=config["mask_patch_size"],
    mask_ratio=config["mask_ratio"],
  )
  m.inputs()  # checks that the case fits together
  assert m.encoder.stride == config["encoder_stride"]
  return m


def run(case):
  m = method(case.config)
  names = convert.full(m)
  batch = {"image": golden_kit.images(case.inputs["image"])}
  params = golden_kit.import_main(m, names, case.params, batch)
  draws = {"mask": jnp.asarray(case.inputs["mask"], jnp.float32)}
  hidden = m.drawn(jax.random.key(0), batch)["mask"]
  per_square = (m.square // m.backbone.patch) ** 2
  count = case.config["masked_units_per_image"] * per_square
  assert (hidden.sum((1, 2)) == count).all()
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  theirs = table.export_tree(names, grads, constants=False)
  side = m.size // m.encoder.stride
  outputs = {
    "latent": einops.rearrange(out["latent"], "b (h w) c -> b c h w", h=side),
    "reconstruction": einops.rearrange(out["pred"], "b h w c -> b c h w"),
    "loss": loss,
    "grad_mask_token": theirs["encoder.mask_token"],
    "grad_decoder_weight": theirs["decoder.0.weight"],
  }
  if m.backbone.windowed:
    stages = jax.jit(
      lambda p: m.encoder.apply(
        {"params": p},
        batch["image"],
        replaced=draws["mask"].reshape(len(batch["image"]), -1),
      )
    )(params["main"]["encoder"])
    outputs |= {k: v for k, v in stages.items() if k.startswith("stage")}
  return {k: v for k, v in outputs.items() if k in case.outputs}
