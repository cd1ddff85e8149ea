"""Weights of LaVin-DiT's ST-VAE, under its authors' names.

(DerrickWang005/LaVin-DiT, `AutoencoderKLSTVAE`; no weights nor numbers of
theirs were at hand, the names are those of their modules.)
"""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import ldm
from jmim.convert.tables import step_video_vae
from jmim.methods.video import autoencoder3d
from jmim.nn.nets import video_sizes

NET = step_video_vae.NET
conv = step_video_vae.conv


def norm(theirs: str, ours: str, adaptive: bool) -> pieces.Table:
  """A GroupNorm, and of the decoder its maps of the latents."""
  if not adaptive:
    return pieces.norm(theirs, f"{ours}/norm")
  maps = {"conv_y": "scale", "conv_b": "shift"}
  rules = pieces.norm(f"{theirs}.norm_layer", f"{ours}/norm")
  for name, own in maps.items():
    op = ops.POINT3D
    rules += pieces.dense(f"{theirs}.{name}.conv", f"{ours}/{own}", op=op)
  return rules


def block(theirs: str, ours: str, skip: bool, adaptive: bool) -> pieces.Table:
  """A residual block; with `skip` it changes the width."""
  rules: pieces.Table = []
  for i in (1, 2):
    rules += norm(f"{theirs}.norm{i}", f"{ours}/norm{i}", adaptive)
    rules += conv(f"{theirs}.conv{i}", f"{ours}/conv{i}")
  if skip:
    name = f"{theirs}.conv_shortcut"
    rules += pieces.dense(name, f"{ours}/skip", op=ops.POINT3D)
  return rules


def half(size: video_sizes.Size, side: str) -> pieces.Table:
  """The encoder ("down") or decoder ("up") without its last convolution."""
  down, last = side == "down", len(size.multipliers) - 1
  order = list(range(last + 1)) if down else list(range(last, -1, -1))
  width = size.multipliers[order[0]]
  rules = conv("conv_in", "conv_in")
  if down:
    width = 1
  for number, level in enumerate(order):
    new, theirs = size.multipliers[level], f"{side}_blocks.{number}"
    for i in range(size.blocks + (not down)):
      name, ours = f"{theirs}.resnets.{i}", f"{side}{level}_{i}"
      rules += block(name, ours, skip=new != width, adaptive=not down)
      width = new
    if level != order[-1]:
      name = f"{theirs}.{side}samplers.0.conv"
      rules += pieces.dense(name, f"{side}{level}_conv", op=ops.CONV)
  for i in (0, 1):
    name, ours = f"mid_block.resnets.{i}", f"middle_{i}"
    rules += block(name, ours, skip=False, adaptive=not down)
  return rules + norm("norm_out", "norm_out", not down)


def autoencoder(method: autoencoder3d.Autoencoder3D) -> pieces.Table:
  """Encoder, decoder, and a critic as taming's is called."""
  size = method.net.size
  down = [*half(size, "down"), *conv("conv_out", "conv_out")]
  critic = ldm.critic(method.losses.critic.layers)
  return [
    *table.placed(down, "encoder.", f"{NET}encoder/"),
    *table.placed(half(size, "up"), "decoder.", f"{NET}decoder/"),
    *conv("decoder.conv_out", f"{NET}last"),
    *table.placed(critic, "loss.discriminator.", ldm.CRITIC),
  ]


FAMILIES = {
  "lavin_stvae": family.Family(
    library="authors",
    methods=(step_video_vae.METHOD,),
    table=autoencoder,
    containers=("state_dict.", ""),
    check=step_video_vae.of_layout("adaptive"),
    optional=ldm.CRITICS,
  )
}
