"""CRATE-MAE (Ma-Lab-Berkeley/CRATE): half a block to the loss's gradients."""

import golden_kit
import jax
import jax.numpy as jnp

from jmim.convert.tables import crate_mae as convert
from jmim.core import method as methods
from jmim.methods.mim import crate_mae
from jmim.methods.parts import white_box
from jmim.nn import sizes

SKIPPED = {}


def method(config, channels):
  # Constants of the network, not options of it.
  assert config["inner_layernorm_eps"] == 1e-5
  assert config["outer_norm_eps"] == 1e-6
  m = crate_mae.CrateMAE(
    size=config["img_size"],
    channels=channels,
    dims=sizes.Dims(
      variant=f"Ti/{config['patch_size']}",
      width=config["dim"],
      depth=config["depth"],
      heads=config["heads"],
    ),
    decoder_dims=sizes.Blocks(width=0, depth=config["decoder_depth"], heads=0),
    blocks=white_box.WhiteBox(
      step=config["step_size"], threshold=config["lambd"]
    ),
    mask_ratio=config["mask_ratio"],
    norm_pix=config["norm_pix_loss"],
  )
  m.inputs()  # checks that the case fits together
  return m


def block_of(params, player, i):
  """Variables of block i of encoder or decoder."""
  layers = params["main"][player]["blocks"]["layers"]
  return {"params": jax.tree.map(lambda x: x[i], layers)}


def names_of(case, prefix):
  """Numbers of the blocks that outputs "<prefix><i>" ask for."""
  rest = [n.removeprefix(prefix) for n in case.outputs if n.startswith(prefix)]
  return sorted({int(name.removesuffix("_half")) for name in rest})


def run(case):
  images = golden_kit.images(case.inputs["imgs"])
  assert len(images) == case.config["batch"]
  m = method(case.config, images.shape[-1])
  names, batch = convert.full(m), {"image": images}
  params = golden_kit.import_main(m, names, case.params, batch)
  draws = {"noise": jnp.asarray(case.inputs["noise"])}
  weights = methods.Weights(params)
  (loss, _), grads = golden_kit.loss_and_grads(m, weights, batch, draws)
  out = jax.jit(m.forward)(params, batch, draws)
  taps = ("middle", "block")
  whole = jax.jit(lambda w, b: m.encode(w, b, taps))(weights, batch)
  tokens = whole["embedded"]
  results = {
    "ids_restore": out["mask"].restore,
    "mask": out["mask"].mask,
    "latent": out["latent"],
    "pred": out["pred"],
    "loss": loss,
    "tokens_full": tokens,
    "features_full": whole["block"][-1],
    **golden_kit.named_grads(case, names, grads),
  }
  encoder = m.blocks.encoder(m.layers)()
  for i in names_of(case, "enc_block"):
    _, tapped = encoder.apply(block_of(params, "encoder", i), tokens, taps=taps)
    results[f"enc_block{i}"] = tapped["block"]
    results[f"enc_block{i}_half"] = tapped["middle"]
  decoder = m.blocks.decoder(m.decoder_dims.size(encoder=m.layers))()
  for i in names_of(case, "dec_block"):
    variables = block_of(params, "decoder", i)
    results[f"dec_block{i}"], _ = decoder.apply(variables, out["latent"])
  return golden_kit.asked(case, results)
