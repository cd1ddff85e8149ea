"""Weights of DiffuseVAE (kpandey008/DiffuseVAE): the VAE, and the refiner.

The names of the VAE are those of the golden files. Those of the refiner's UNet
are guided-diffusion's, as the released code took it over; what stands around
them in a checkpoint (`target_network`, its EMA, or `online_network`) is from
memory, and so there is no place for the layers of a code beside the time.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _unet
from jmim.methods.latent import diffusevae
from jmim.methods.latent import diffusevae_vae
from jmim.nn import block_string
from jmim.nn.nets import block_vae


def blocks(text: str) -> pieces.Table:
  """The layers of a block string; each counts, those without arrays too."""
  rules: pieces.Table = []
  for i, layer in enumerate(block_string.parse(text)):
    theirs, ours = f"block_mod.{i}", f"blocks/layer{i}"
    if layer.to:
      rules += pieces.dense(theirs, ours, ops.POINT, bias=False)
    elif not layer.up:
      inner = ops.CONV if layer.side > 1 else ops.POINT
      for name, op in zip(
        ("c1", "c2", "c3", "c4"),
        (ops.POINT, inner, inner, ops.POINT),
        strict=True,
      ):
        rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op)
  return rules


def vae(dims: block_vae.Dims) -> pieces.Table:
  """Encoder and decoder; our names without a prefix."""
  encoder = [
    *pieces.dense("in_conv", "conv_in", ops.CONV, bias=False),
    *blocks(dims.encoder),
    *pieces.dense("mu", "mean", ops.POINT, bias=False),
    *pieces.dense("logvar", "log_var", ops.POINT, bias=False),
  ]
  decoder = [
    *blocks(dims.decoder),
    *pieces.dense("last_conv", "conv_out", ops.CONV),
  ]
  return [
    *table.placed(encoder, "enc.", "encoder/"),
    *table.placed(decoder, "dec.", "decoder/"),
  ]


def first(method: diffusevae_vae.VAE) -> pieces.Table:
  """The first stage."""
  return vae(method.dims)


def second(method: diffusevae.DiffuseVAE) -> pieces.Table:
  """The UNet of the second stage."""
  return table.placed(_unet.network(method.net()), "decoder.", "")


def _objection(method: diffusevae.DiffuseVAE) -> str | None:
  if method.coarse.code:
    return "coarse.code=True, whose layers have no known names there"
  return _unet.objection(method.dims)


FAMILIES = {
  "diffusevae": family.Family(
    library="authors",
    methods=("latent.diffusevae_vae",),
    table=family.main(first),
    containers=("state_dict.vae.", "vae.", "state_dict.", ""),
    ignored=(r"^(lpips|perceptual)",),
  ),
  "diffusevae_unet": family.Family(
    library="authors",
    methods=("latent.diffusevae",),
    table=family.main(second),
    containers=(
      "state_dict.target_network.",
      "state_dict.online_network.",
      "target_network.",
      "online_network.",
      "state_dict.",
      "",
    ),
    # Tables of the process, which are computed here.
    ignored=(r"^(?!decoder\.)",),
    check=_objection,
  ),
}
