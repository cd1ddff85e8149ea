"""The UNet of latent diffusion under the authors' names."""

import einops

from jmim.convert import table
from jmim.convert.tables import ldm
from jmim.convert.tables import mae
from jmim.methods.latent import ldm as methods
from jmim.nn.nets import unet as nets

Rules = list[table.Rule | table.Constant]


def heads_first(heads: int) -> tuple[table.Op, table.Op]:
  """(kernel, bias) of q, k and v that stand head by head there."""
  there, here = "(h three d)", "(three h d)"
  size = dict(h=heads, three=3)
  return (
    table.Op(
      lambda w: einops.rearrange(w, f"{there} c 1 -> c {here}", **size),
      lambda w: einops.rearrange(w, f"c {here} -> {there} c 1", **size),
    ),
    table.Op(
      lambda b: einops.rearrange(b, f"{there} -> {here}", **size),
      lambda b: einops.rearrange(b, f"{here} -> {there}", **size),
    ),
  )


CONV1D = table.Op(lambda x: x[:, :, 0].T, lambda x: x.T[:, :, None])


def res(theirs: str, ours: str, skip: bool) -> Rules:
  """A residual block."""
  rules = mae.norm(f"{theirs}.in_layers.0", f"{ours}/norm1")
  rules += ldm.linear(f"{theirs}.in_layers.2", f"{ours}/conv1", ldm.CONV)
  rules += mae.dense(f"{theirs}.emb_layers.1", f"{ours}/time")
  rules += mae.norm(f"{theirs}.out_layers.0", f"{ours}/norm2")
  rules += ldm.linear(f"{theirs}.out_layers.3", f"{ours}/conv2", ldm.CONV)
  if skip:
    rules += ldm.linear(f"{theirs}.skip_connection", f"{ours}/skip", ldm.CONV)
  return rules


def attention(depth: int, heads: int, theirs: str, ours: str) -> Rules:
  """Self-attention, or a transformer of cross-attention to the context.

  Args:
    depth: blocks of the transformer; 0: self-attention.
    heads: of q, k and v that stand head by head; 0: q of all heads comes first.
    theirs: their name.
    ours: our name.
  """
  rules = mae.norm(f"{theirs}.norm", f"{ours}/norm")
  if not depth:
    kernel, bias = heads_first(heads) if heads else (CONV1D, table.SAME)
    return rules + [
      table.Rule(
        theirs=f"{theirs}.qkv.weight", ours=f"{ours}/attn/qkv/kernel", op=kernel
      ),
      table.Rule(
        theirs=f"{theirs}.qkv.bias", ours=f"{ours}/attn/qkv/bias", op=bias
      ),
      *ldm.linear(f"{theirs}.proj_out", f"{ours}/attn/proj", CONV1D),
    ]
  for name in ("proj_in", "proj_out"):
    rules += ldm.linear(f"{theirs}.{name}", f"{ours}/{name}", ldm.POINT)
  for i in range(depth):
    block = f"{theirs}.transformer_blocks.{i}"
    for n in (1, 2, 3):
      rules += mae.norm(f"{block}.norm{n}", f"{ours}/norm{n}_{i}")
    for name, own in (("attn1", f"self_{i}"), ("attn2", f"cross_{i}")):
      rules += [
        table.Rule(
          theirs=f"{block}.{name}.to_{x}.weight",
          ours=f"{ours}/{own}/{x}/kernel",
          op=table.LINEAR,
        )
        for x in "qkv"
      ]
      rules += mae.dense(f"{block}.{name}.to_out.0", f"{ours}/{own}/proj")
    rules += mae.dense(f"{block}.ff.net.0.proj", f"{ours}/fc1_{i}")
    rules += mae.dense(f"{block}.ff.net.2", f"{ours}/fc2_{i}")
  return rules


def unet(net: nets.UNet, by_head: bool = True) -> Rules:
  """The whole network; our names without a prefix.

  Args:
    net: the network.
    by_head: q, k and v of self-attention stand head by head, as in all
      published weights; else (`use_new_attention_order`) q of all heads first.
  """
  rules = mae.dense("time_embed.0", "time_embed/fc1")
  rules += mae.dense("time_embed.2", "time_embed/fc2")
  if net.classes:
    rules.append(
      table.Rule(theirs="label_emb.weight", ours="label_embed/embedding")
    )
  rules += ldm.linear("input_blocks.0.0", "conv_in", ldm.CONV)
  widths, skips = [t * net.width for t in net.multipliers], [net.width]
  at, width, last = 1, net.width, len(widths) - 1
  for level, new in enumerate(widths):
    attends = 2**level in net.attend_at
    for i in range(net.blocks):
      there, ours = f"input_blocks.{at}", f"down{level}_{i}"
      rules += res(f"{there}.0", ours, new != width)
      if attends:
        heads = net.heads_at(new) * by_head
        rules += attention(
          net.transformer, heads, f"{there}.1", f"{ours}_attention"
        )
      at, width = at + 1, new
      skips.append(width)
    if level < last:
      where = f"input_blocks.{at}.0"
      rules += _resample(
        net, where, convolution=where + ".op", ours=f"down{level}", how="half"
      )
      at += 1
      skips.append(width)
  rules += res("middle_block.0", "middle_0", False)
  heads = net.heads_at(width) * by_head
  rules += attention(
    net.transformer, heads, "middle_block.1", "middle_attention"
  )
  rules += res("middle_block.2", "middle_1", False)
  rules += _up(net, by_head, width, skips)
  rules += mae.norm("out.0", "norm_out")
  return rules + ldm.linear("out.2", "conv_out", ldm.CONV)


def _up(net, by_head, width, skips) -> Rules:
  """The half that goes up, from `width`; takes the widths of the skips."""
  rules: Rules = []
  widths, at = [t * net.width for t in net.multipliers], 0
  for level, new in reversed(list(enumerate(widths))):
    attends = 2**level in net.attend_at
    for i in range(net.blocks + 1):
      there, ours = f"output_blocks.{at}", f"up{level}_{i}"
      rules += res(f"{there}.0", ours, new != width + skips.pop())
      if attends:
        heads = net.heads_at(new, up=True) * by_head
        rules += attention(
          net.transformer, heads, f"{there}.1", f"{ours}_attention"
        )
      width = new
      if level and i == net.blocks:
        where = f"{there}.{1 + attends}"
        rules += _resample(
          net,
          where,
          convolution=where + ".conv",
          ours=f"up{level}",
          how="twice",
        )
      at += 1
  return rules


def _resample(net, block, convolution, ours, how) -> Rules:
  if net.updown:
    return res(block, f"{ours}_{how}", False)
  if not net.resample_conv:
    return []
  return ldm.linear(convolution, f"{ours}_conv", ldm.CONV)


def second_stage(m: methods.LDM) -> Rules:
  """`model.diffusion_model` of the authors' checkpoints, and its condition.

  Contexts are not covered but for that of classes.
  """
  rules = table.placed(
    unet(m.net()), "model.diffusion_model.", "params/main/net/"
  )
  if m.condition.task == "class":
    name = "cond_stage_model.embedding.weight"
    rules.append(table.Rule(theirs=name, ours="params/main/condition/classes"))
  return rules
