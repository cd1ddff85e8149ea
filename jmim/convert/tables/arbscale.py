"""Weights of arbitrary-scale latent diffusion, in two stages.

zhenshij/arbitrary-scale-diffusion@92399b2: an encoder and a decoder of latent
diffusion inside lists, a LIIF behind them, and LDM's UNet.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet
from jmim.convert.tables import ldm as ldm_tables
from jmim.convert.tables import ldm_unet
from jmim.methods.latent import arbscale
from jmim.methods.latent import autoencoder_inr
from jmim.nn.nets import anysize


def network(net: anysize.AnySize) -> pieces.Table:
  """The autoencoder with its implicit function; ours without a prefix."""
  down, up = (ldm_tables.compvis(side) for side in ("down", "up"))
  encoder = ldm_tables.half(net.size, "down", down)
  decoder = ldm_tables.half(net.size.flat, "up", up, flat=True)
  rules = [
    *table.placed(encoder, "encoder.0.", "encoder/"),
    *pieces.dense("encoder.1", "encoder/quant", op=ops.POINT),
    *pieces.dense("decoder.decoder.0", "decoder/post_quant", op=ops.POINT),
    *table.placed(decoder, "decoder.decoder.1.", "decoder/"),
  ]
  for i in range(len(net.implicit.hidden) + 1):  # with a ReLU between two
    theirs = f"decoder.inr.imnet.layers.{2 * i}"
    rules += pieces.dense(theirs, f"implicit/fc{i}")
  return rules


def first_stage(method: autoencoder_inr.AutoencoderINR) -> pieces.Table:
  """The authors' autoencoder."""
  return table.placed(network(method.net), "", family.MAIN)


def baseline(method: autoencoder_inr.AutoencoderINR) -> str | None:
  """What is wrong with a method that has no implicit function."""
  if method.implicit.present:
    return None
  return "implicit.hidden=(): the baseline, which is not in such files"


def second_stage(method: arbscale.ArbScale) -> pieces.Table:
  """The UNet, and the measured factor of the latents."""
  rules = ldm_unet.full(method)
  if method.first_stage.measured:
    rules.append(table.Rule(theirs="scale_factor", ours="extra/scale"))
  return rules


FAMILIES = {
  "arbscale_first_stage": family.Family(
    library="authors",
    methods=("latent.autoencoder_inr",),
    table=first_stage,
    check=baseline,
    containers=(
      "state_dict.first_stage_model.",
      "first_stage_model.",
      "state_dict.",
      "",
    ),
    ignored=(r"^loss\.",),
  ),
  "arbscale": family.Family(
    library="authors",
    methods=("latent.arbscale",),
    table=second_stage,
    containers=("state_dict.", ""),
    ignored=ldm_unet.IGNORED,
    unsupported=ldm_unet.UNSUPPORTED,
    check=lambda method: _unet.objection(method.dims),
  ),
}
