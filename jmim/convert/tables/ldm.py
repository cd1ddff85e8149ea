"""Weights of latent diffusion: first stages, critic (authors', Diffusers')."""

import dataclasses
from collections.abc import Callable

import einops

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.latent import autoencoder_kl
from jmim.methods.latent import autoencoder_vq
from jmim.nn.nets import codec

Rules = list[table.Rule | table.Constant]
FirstStage = autoencoder_kl.AutoencoderKL | autoencoder_vq.AutoencoderVQ
CONV = table.Op(
  lambda x: einops.rearrange(x, "o i h w -> h w i o"),
  lambda x: einops.rearrange(x, "h w i o -> o i h w"),
)
POINT = table.Op(  # a 1 x 1 convolution, which is a linear map
  lambda x: x[:, :, 0, 0].T, lambda x: x.T[:, :, None, None]
)
NET = "params/autoencoder/"
CRITIC = "params/discriminator/"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Names:
  """How a library calls the parts of an encoder or decoder.

  Attributes:
    block: level, number -> residual block.
    attention: level, number -> attention of a level.
    resample: level -> convolution between levels.
    middle: 0 and 1: its blocks; "attention".
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
  middle: dict
  norm_out: str
  skip: str
  attention_norm: str
  qkv: tuple[str, str, str]
  proj: str
  point: table.Op


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
    point=POINT,
  )


def diffusers(side: str, levels: int) -> Names:
  """Diffusers' names; its decoder counts levels from the coarsest."""
  at = lambda level: level if side == "down" else levels - 1 - level
  return Names(
    block=lambda level, i: f"{side}_blocks.{at(level)}.resnets.{i}",
    attention=lambda level, i: f"{side}_blocks.{at(level)}.attentions.{i}",
    resample=lambda level: f"{side}_blocks.{at(level)}.{side}samplers.0.conv",
    middle={
      0: "mid_block.resnets.0",
      1: "mid_block.resnets.1",
      "attention": "mid_block.attentions.0",
    },
    norm_out="conv_norm_out",
    skip="conv_shortcut",
    attention_norm="group_norm",
    qkv=("to_q", "to_k", "to_v"),
    proj="to_out.0",
    point=table.LINEAR,
  )


def linear(theirs: str, ours: str, op: table.Op) -> Rules:
  """A map with bias, in some layout."""
  return [
    table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/kernel", op=op),
    table.Rule(theirs=f"{theirs}.bias", ours=f"{ours}/bias"),
  ]


def block(theirs: str, ours: str, skip: str = "") -> Rules:
  """A residual block; `skip` names the map beside it, if there is one."""
  rules: Rules = []
  for i in (1, 2):
    rules += mae.norm(f"{theirs}.norm{i}", f"{ours}/norm{i}")
    rules += linear(f"{theirs}.conv{i}", f"{ours}/conv{i}", CONV)
  if skip:
    rules += linear(f"{theirs}.{skip}", f"{ours}/skip", POINT)
  return rules


def attention(theirs: str, ours: str, names: Names) -> Rules:
  """One head over all places; q, k and v are one matrix here."""
  parts = tuple(f"{theirs}.{n}" for n in names.qkv)
  weights, biases = (
    tuple(f"{p}.{leaf}" for p in parts) for leaf in ("weight", "bias")
  )
  return [
    *mae.norm(f"{theirs}.{names.attention_norm}", f"{ours}/norm"),
    table.Rule(theirs=weights, ours=f"{ours}/attn/qkv/kernel", op=names.point),
    table.Rule(theirs=biases, ours=f"{ours}/attn/qkv/bias"),
    *linear(f"{theirs}.{names.proj}", f"{ours}/attn/proj", names.point),
  ]


def half(size: codec.Size, side: str, names: Names) -> Rules:
  """The encoder ("down") or decoder ("up") without its 1 x 1 convolution."""
  down, count = side == "down", len(size.multipliers)
  rules = linear("conv_in", "conv_in", CONV)
  order = list(range(count)) if down else list(reversed(range(count)))
  width = 1 if down else size.multipliers[-1]
  for level in order:
    for i in range(size.blocks + (not down)):
      own = f"{side}{level}_{i}"
      new = size.multipliers[level]
      rules += block(
        names.block(level, i), own, names.skip if new != width else ""
      )
      width = new
      if 2**level in size.attend_at:
        where = names.attention(level, i)
        rules += attention(where, f"{own}_attention", names)
    if level != order[-1]:
      rules += linear(names.resample(level), f"{side}{level}_conv", CONV)
  for i in (0, 1):
    rules += block(names.middle[i], f"middle_{i}")
  rules += attention(names.middle["attention"], "middle_attention", names)
  rules += mae.norm(names.norm_out, "norm_out")
  return rules + (linear("conv_out", "conv_out", CONV) if down else [])


def autoencoder(size: codec.Size, naming: Callable[[str], Names]) -> Rules:
  """Encoder, decoder and the maps between them; ours without a prefix."""
  return [
    *table.placed(half(size, "down", naming("down")), "encoder.", "encoder/"),
    *linear("quant_conv", "encoder/quant", POINT),
    *linear("post_quant_conv", "decoder/post_quant", POINT),
    *table.placed(half(size, "up", naming("up")), "decoder.", "decoder/"),
    *linear("decoder.conv_out", "last", CONV),
  ]


def critic(layers: int) -> Rules:
  """taming's NLayerDiscriminator without its running statistics."""
  rules = linear("main.0", "conv0", CONV)
  for n in range(1, layers + 1):
    at = 3 * n - 1
    rules.append(
      table.Rule(theirs=f"main.{at}.weight", ours=f"conv{n}/kernel", op=CONV)
    )
    rules += mae.norm(f"main.{at + 1}", f"norm{n}")
  return rules + linear(f"main.{3 * layers + 2}", "out", CONV)


def codebook(method: FirstStage) -> Rules:
  """The codes, whoever keeps them; [] where there are none."""
  if not method.net.codes:
    return []
  where = "extra/codes" if method.codebook.ema else f"{NET}codes"
  return [table.Rule(theirs="quantize.embedding.weight", ours=where)]


def first_stage(method: FirstStage) -> Rules:
  """The authors' AutoencoderKL or VQModel with its critic."""
  rules = table.placed(autoencoder(method.net.size, compvis), "", NET)
  return (
    rules
    + codebook(method)
    + table.placed(
      critic(method.losses.disc_layers), "loss.discriminator.", CRITIC
    )
  )


def diffusers_first_stage(method: FirstStage) -> Rules:
  """Diffusers' AutoencoderKL or VQModel."""
  size = method.net.size
  naming = lambda side: diffusers(side, len(size.multipliers))
  rules = table.placed(autoencoder(size, naming), "", NET)
  return rules + codebook(method)
