"""Weights of the authors' DMAE (UCSC-VLAA/DMAE)."""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.distill import dmae


def student(method: dmae.DMAE) -> list[table.Rule | table.Constant]:
  """Encoder, decoder and projection heads."""
  rules = mae.full(method)
  layers = dmae.LAYERS[method.projection]
  for i in range(len(method.student_blocks) if layers else 0):
    theirs = f"aligned_feature_projection_heads.{i}"
    for j in range(layers):
      name = theirs if layers == 1 else f"{theirs}.fc{j + 1}"
      rules += mae.dense(name, f"heads/{i}/fc{j + 1}")
  return rules


def teacher(method: dmae.DMAE) -> list[table.Rule | table.Constant]:
  """The teacher: an MAE encoder."""
  return mae.encoder(method.teacher_encoder, method.channels)
