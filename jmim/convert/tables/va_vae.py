"""Weights of the authors' VA-VAE (hustvl/LightningDiT, `vavae`).

The first stage of latent diffusion and a 1 x 1 convolution to or from the
features of a vision model, which such files may hold as well (its own families
read it). Files for inference lack the convolution and the critic.
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert.tables import ldm
from jmim.methods.latent import va_vae

MAP = f"{ldm.NET}map"


def projection(theirs: str, ours: str, method: va_vae.VAVAE) -> pieces.Table:
  """P: without a bias from latents, with one from features."""
  bias = method.alignment.maps == "features"
  return pieces.dense(theirs, ours, op=ops.POINT, bias=bias)


def full(method: va_vae.VAVAE) -> pieces.Table:
  """Autoencoder, critic and projection."""
  own = projection("linear_proj", MAP, method)
  return [*ldm.first_stage(method), *own]


BASE = ldm.FAMILIES["ldm_first_stage"]
FAMILIES = {
  "va_vae": family.Family(
    library="authors",
    methods=("latent.va_vae",),
    table=full,
    containers=("state_dict.", "model.", ""),
    ignored=(*BASE.ignored, r"^foundation_model\."),
    optional=(*BASE.optional, f"^{MAP}/"),
  )
}
