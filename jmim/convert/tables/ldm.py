"""Weights of latent diffusion's first stages and critic (CompVis, taming).

Diffusers has the same networks under other names: a library's are its `Names`.
"""

import dataclasses
from collections.abc import Callable
from collections.abc import Mapping

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.nn.nets import codec

FirstStage = autoencoder_kl.AutoencoderKL | autoencoder_vq.AutoencoderVQ
METHODS = ("latent.autoencoder_kl", "latent.autoencoder_vq")
NET = "params/autoencoder/"
CRITIC = "params/discriminator/"
# Regexes of leaves that others do not have: the critic, the use of codes.
CRITICS, COUNTS = (f"^{CRITIC}",), ("^extra/(used|total)$",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Names:
  """How a library calls the parts of an encoder or decoder.

  Attributes:
    block: level, number -> residual block.
    attention: level, number -> attention of a level.
    resample: level -> convolution between levels.
    middle: 0 and 1 -> its blocks; "attention".
    norm_out: the last norm.
    skip: convolution beside a block.
    attention_norm: norm of an attention.
    qkv: its three maps.
    proj: its output.
    point: layout of these four maps.
  """

  block: Callable[[int, int], str]
  attention: Callable[[int, int], str]
  resample: Callable[[int], str]
  middle: Mapping[int | str, str]
  norm_out: str
  skip: str
  attention_norm: str
  qkv: tuple[str, str, str]
  proj: str
  point: ops.Op


def compvis(side: str) -> Names:
  """The authors' names; side "down" or "up"."""
  return Names(
    block=lambda level, i: f"{side}.{level}.block.{i}",
    attention=lambda level, i: f"{side}.{level}.attn.{i}",
    resample=lambda level: f"{side}.{level}.{side}sample.conv",
    middle={0: "mid.block_1", 1: "mid.block_2", "attention": "mid.attn_1"},
    norm_out="norm_out",
    skip="nin_shortcut",
    attention_norm="norm",
    qkv=("q", "k", "v"),
    proj="proj_out",
    point=ops.POINT,
  )


def block(theirs: str, ours: str, skip: str = "") -> pieces.Table:
  """A residual block; `skip` names the map beside it, if there is one."""
  rules: pieces.Table = []
  for i in (1, 2):
    rules += pieces.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}")
    rules += pieces.dense(f"{theirs}.conv{i}", f"{ours}/conv{i}", op=ops.CONV)
  if skip:
    rules += pieces.dense(f"{theirs}.{skip}", f"{ours}/skip", op=ops.POINT)
  return rules


def attention(theirs: str, ours: str, names: Names) -> pieces.Table:
  """One head over all places; q, k and v are one matrix here."""
  qkv, op = [f"{theirs}.{n}" for n in names.qkv], names.point
  return [
    *pieces.norm(f"{theirs}.{names.attention_norm}", f"{ours}/norm"),
    *pieces.fused(qkv, f"{ours}/attn/qkv", op=op),
    *pieces.dense(f"{theirs}.{names.proj}", f"{ours}/attn/proj", op=op),
  ]


def half(
  size: codec.Size, side: str, names: Names, flat: bool = False
) -> pieces.Table:
  """The encoder ("down") or decoder ("up") without its 1 x 1 convolution.

  Args:
    size: of the autoencoder.
    side: which of them.
    names: of that side.
    flat: a decoder that stays at the code's side, see `codec.Decoder`.
  """
  down, count = side == "down", len(size.multipliers)
  rules = pieces.dense("conv_in", "conv_in", op=ops.CONV)
  order = list(range(count)) if down else list(reversed(range(count)))
  width = 1 if down else size.multipliers[-1]
  for level in order:
    for i in range(size.blocks + (not down)):
      ours, new = f"{side}{level}_{i}", size.multipliers[level]
      skip = names.skip if new != width else ""
      rules += block(names.block(level, i), ours, skip)
      width = new
      if 2**level in size.attend_at:
        theirs = names.attention(level, i)
        rules += attention(theirs, f"{ours}_attention", names)
    if level != order[-1] and not flat:
      theirs = names.resample(level)
      rules += pieces.dense(theirs, f"{side}{level}_conv", op=ops.CONV)
  for i in (0, 1):
    rules += block(names.middle[i], f"middle_{i}")
  rules += attention(names.middle["attention"], "middle_attention", names)
  if not flat:
    rules += pieces.norm(names.norm_out, "norm_out")
  if down:
    rules += pieces.dense("conv_out", "conv_out", op=ops.CONV)
  return rules


def autoencoder(
  size: codec.Size, naming: Callable[[str], Names]
) -> pieces.Table:
  """Encoder, decoder and the maps between them; ours without a prefix.

  Args:
    size: of the autoencoder.
    naming: "down" or "up" -> names of that side.
  """
  encoder, decoder = (half(size, s, naming(s)) for s in ("down", "up"))
  return [
    *table.placed(encoder, "encoder.", "encoder/"),
    *pieces.dense("quant_conv", "encoder/quant", op=ops.POINT),
    *pieces.dense("post_quant_conv", "decoder/post_quant", op=ops.POINT),
    *table.placed(decoder, "decoder.", "decoder/"),
    *pieces.dense("decoder.conv_out", "last", op=ops.CONV),
  ]


def critic(layers: int) -> pieces.Table:
  """taming's NLayerDiscriminator without its running statistics.

  Args:
    layers: convolutions that halve, but for the first, with a norm each.
  """
  rules = pieces.dense("main.0", "conv0", op=ops.CONV)
  for n in range(1, layers + 1):
    at = 3 * n - 1  # a convolution, a norm, an activation
    rules += pieces.dense(f"main.{at}", f"conv{n}", op=ops.CONV, bias=False)
    rules += pieces.norm(f"main.{at + 1}", f"norm{n}")
  return rules + pieces.dense(f"main.{3 * layers + 2}", "out", op=ops.CONV)


def codebook(method: FirstStage) -> pieces.Table:
  """The codes, trained or averaged; [] where there are none."""
  if not method.net.codes:
    return []
  ours = "extra/codes" if method.codebook.ema else f"{NET}codes"
  return [table.Rule(theirs="quantize.embedding.weight", ours=ours)]


def first_stage(method: FirstStage) -> pieces.Table:
  """The authors' AutoencoderKL or VQModel with its critic."""
  rules = table.placed(autoencoder(method.net.size, compvis), "", NET)
  discriminator = critic(method.losses.critic.layers)
  return [
    *rules,
    *codebook(method),
    *table.placed(discriminator, "loss.discriminator.", CRITIC),
  ]


FAMILIES = {
  "ldm_first_stage": family.Family(
    library="authors",
    methods=METHODS,
    table=first_stage,
    containers=(
      "state_dict.first_stage_model.",
      "first_stage_model.",
      "state_dict.",
      "",
    ),
    ignored=(
      r"running_(mean|var)$",
      "num_batches_tracked$",
      r"^loss\.(perceptual_loss|logvar)",
    ),
    optional=CRITICS,
    unsupported=COUNTS,
  )
}
