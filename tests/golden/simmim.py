"""SimMIM (microsoft/SimMIM): loss and gradients, ViT and Swin."""

import einops
import jax
import jax.numpy as jnp

from jmim.convert import table
from jmim.convert.tables import simmim as convert
from jmim.methods.mim import simmim

SKIPPED = {}


def method(config):
  """The method of a case; a Swin has depths, a ViT one depth."""
  swin = "depths" in config
  own = (
    {
      "variant": f"SwinB/{config['patch_size']}",
      "depths": tuple(config["depths"]),
      "heads": tuple(config["num_heads"]),
      "window": config["window_size"],
      "patch_norm": config["patch_norm"],
      "positions": "learned" if config["absolute_pos_embed"] else "none",
    }
    if swin
    else {
      "variant": f"Ti/{config['patch_size']}",
      "depths": (config["depth"],),
      "heads": (config["num_heads"],),
      "layer_scale": config["layer_scale_init"] or 0.0,
      "final_norm": config["final_norm"],
      "positions": "learned" if config["use_abs_pos_emb"] else "none",
      "relative": "shared"
      if config["shared_rel_pos_bias"]
      else "block"
      if config["per_block_rel_pos_bias"]
      else "none",
    }
  )
  assert config["layernorm_eps"] == (1e-5 if swin else 1e-6)
  m = simmim.SimMIM(
    size=config["img_size"],
    channels=config["in_chans"],
    width=config["embed_dim"],
    mlp_ratio=float(config["mlp_ratio"]),
    qkv_bias=config["qkv_bias"],
    square=config["mask_patch_size"],
    mask_ratio=config["mask_ratio"],
    **own,
  )
  m.inputs()  # checks that the case fits together
  assert m.encoder.stride == config["encoder_stride"]
  return m


def run(case):
  m = method(case.config)
  names = convert.full(m)
  params = {"main": table.import_tree(names, case.params)}
  image = einops.rearrange(case.inputs["image"], "b c h w -> b h w c")
  batch = {"image": jnp.asarray(image)}
  draws = {"mask": jnp.asarray(case.inputs["mask"], jnp.float32)}
  hidden = m.draw(jax.random.key(0), batch, 0)["mask"]
  units = hidden.sum((1, 2)) * m.patch**2 / m.square**2
  assert (units == case.config["masked_units_per_image"]).all()

  def loss_of(params):
    return m.loss("main", params, {}, {}, batch, draws, 0)[0]

  loss, grads = jax.jit(jax.value_and_grad(loss_of))(params)
  out = jax.jit(m.forward)(params, batch, draws)
  theirs = table.export_tree(names, grads["main"], constants=False)
  side = m.size // m.encoder.stride
  found = {
    "latent": einops.rearrange(out["latent"], "b (h w) c -> b c h w", h=side),
    "reconstruction": einops.rearrange(out["pred"], "b h w c -> b c h w"),
    "loss": loss,
    "grad_mask_token": theirs["encoder.mask_token"],
    "grad_decoder_weight": theirs["decoder.0.weight"],
  }
  if m.windowed:
    stages = jax.jit(
      lambda p: m.encoder.apply(
        {"params": p},
        batch["image"],
        replaced=draws["mask"].reshape(len(image), -1),
      )
    )(params["main"]["encoder"])
    found |= {k: v for k, v in stages.items() if k.startswith("stage")}
  return {k: v for k, v in found.items() if k in case.outputs}
