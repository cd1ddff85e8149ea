"""Weights of Step-Video's Video-VAE (stepfun-ai/Step-Video-T2V).

Their checkpoint spells the last convolution "decoder.conv_out.weight", their
module "decoder.conv_out.conv.weight": both are read, the latter is written.
"""

from collections.abc import Callable

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import ldm
from jmim.methods.video import autoencoder3d
from jmim.nn.nets import video_sizes

NET = "params/autoencoder/"
METHOD = "video.autoencoder3d"


def conv(theirs: str, ours: str) -> pieces.Table:
  """A causal convolution, which they wrap."""
  return pieces.dense(f"{theirs}.conv", ours, op=ops.CONV3D)


def block(theirs: str, ours: str, skip: bool) -> pieces.Table:
  """A residual block; with `skip` it changes the width."""
  rules: pieces.Table = []
  for i in (1, 2):
    rules += pieces.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}")
    rules += conv(f"{theirs}.conv{i}", f"{ours}/conv{i}")
  if skip:
    name = f"{theirs}.nin_shortcut.conv"
    rules += pieces.dense(name, f"{ours}/skip", op=ops.POINT3D)
  return rules


def middle() -> pieces.Table:
  """Block, attention of one head, block."""
  ours, theirs = "middle_attention", "mid.attn_1"
  qkv = [f"{theirs}.{n}.conv" for n in "qkv"]
  return [
    *block("mid.block_1", "middle_0", skip=False),
    *pieces.norm(f"{theirs}.norm", f"{ours}/norm"),
    *pieces.fused(qkv, f"{ours}/qkv", op=ops.POINT3D),
    *pieces.dense(f"{theirs}.proj_out.conv", f"{ours}/proj", op=ops.POINT3D),
    *block("mid.block_2", "middle_1", skip=False),
  ]


def twice(theirs: str, ours: str) -> pieces.Table:
  """What doubles time."""
  rules: pieces.Table = []
  for i in (1, 2):
    rules += conv(f"{theirs}.conv3d.conv{i}", f"{ours}/conv{i}")
    rules += pieces.norm(f"{theirs}.conv3d.norm{i}", f"{ours}/norm{i}")
  return rules


def levels(size: video_sizes.Size, side: str) -> pieces.Table:
  """Blocks of the levels of the encoder ("down") or decoder ("up")."""
  down, last = side == "down", len(size.multipliers) - 1
  order = range(last + 1) if down else range(last, -1, -1)
  width, rules = 1 if down else size.multipliers[-1], []
  for level in order:
    new = size.multipliers[level]
    for i in range(size.blocks + (not down)):
      name = f"{side}.{level}.block.{i}"
      rules += block(name, f"{side}{level}_{i}", skip=new != width)
      width = new
    if level != order[-1]:
      rules += resampling(size, side, level)
  return rules


def resampling(size: video_sizes.Size, side: str, level: int) -> pieces.Table:
  """What is behind the blocks of a level; of frames alone it is not wrapped."""
  theirs, ours = f"{side}.{level}.{side}sample", f"{side}{level}"
  if level in (size.time_down if side == "down" else size.time_up):
    if side == "up":
      return twice(theirs, f"{ours}_twice")
    return conv(f"{theirs}.conv", f"{ours}_conv")
  return pieces.dense(f"{theirs}.conv", f"{ours}_conv", op=ops.CONV)


def encoder(size: video_sizes.Size) -> pieces.Table:
  """Names of the encoder, without prefixes."""
  patchify = conv("conv_patchify.conv", "conv_patchify") if size.dual else []
  return [
    *conv("conv_in", "conv_in"),
    *levels(size, "down"),
    *middle(),
    *pieces.norm("norm_out", "norm_out"),
    *patchify,
    *conv("conv_out", "conv_out"),
  ]


def decoder(size: video_sizes.Size) -> pieces.Table:
  """Names of the decoder; ours are "decoder/..." and "last/..."."""
  unpatchify = conv("conv_unpatchify.conv", "conv_unpatchify")
  return [
    *table.placed(
      [
        *conv("conv_in", "conv_in"),
        *(unpatchify if size.dual else []),
        *middle(),
        *levels(size, "up"),
        *pieces.norm("norm_out", "norm_out"),
      ],
      "",
      "decoder/",
    ),
    *conv("conv_out", "last"),
  ]


def autoencoder(method: autoencoder3d.Autoencoder3D) -> pieces.Table:
  """Encoder, decoder, and a critic as taming's is called."""
  size = method.net.size
  critic = ldm.critic(method.losses.critic.layers)
  return [
    *table.placed(encoder(size), "encoder.", f"{NET}encoder/"),
    *table.placed(decoder(size), "decoder.", NET),
    *table.placed(critic, "loss.discriminator.", ldm.CRITIC),
  ]


def of_layout(
  name: str,
) -> Callable[[autoencoder3d.Autoencoder3D], str | None]:
  """A check of a family: None, or why the layout of a method is another."""

  def check(method: autoencoder3d.Autoencoder3D) -> str | None:
    layout = method.net.size.layout
    return None if layout == name else f"layout {layout!r}, theirs is {name!r}"

  return check


FAMILIES = {
  "step_video_vae": family.Family(
    library="authors",
    methods=(METHOD,),
    table=autoencoder,
    containers=("model.", "state_dict.", "vae.", ""),
    aliases=(
      (r"^decoder\.conv_out\.(weight|bias)$", r"decoder.conv_out.conv.\1"),
    ),
    check=of_layout("deep"),
    optional=ldm.CRITICS,
  )
}
