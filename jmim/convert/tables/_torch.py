"""Rules of torch's own modules, as several authors' tables read them."""

from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table


def attention(theirs: str, ours: str) -> pieces.Table:
  """MultiheadAttention of a sequence to itself; q, k, v are one matrix."""
  return [
    table.Rule(
      theirs=f"{theirs}.in_proj_weight",
      ours=f"{ours}/qkv/kernel",
      op=ops.LINEAR,
    ),
    table.Rule(theirs=f"{theirs}.in_proj_bias", ours=f"{ours}/qkv/bias"),
    *pieces.dense(f"{theirs}.out_proj", f"{ours}/proj"),
  ]


def cross_attention(theirs: str, ours: str) -> pieces.Table:
  """The same where one asks another: q, k and v are three layers here."""
  apart = lambda leaf: tuple(f"{ours}/{n}/{leaf}" for n in "qkv")
  return [
    table.Rule(
      theirs=f"{theirs}.in_proj_weight", ours=apart("kernel"), op=ops.LINEAR
    ),
    table.Rule(theirs=f"{theirs}.in_proj_bias", ours=apart("bias")),
    *pieces.dense(f"{theirs}.out_proj", f"{ours}/proj"),
  ]
