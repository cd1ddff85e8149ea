"""Weights of the authors' DMAE (UCSC-VLAA/DMAE)."""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert.tables import mae
from jmim.methods.distill import dmae


def student(method: dmae.DMAE) -> pieces.Table:
  """Encoder, decoder and projection heads."""
  rules = mae.full(method)
  layers = method.head.layers
  for i in range(len(method.student_blocks) if layers else 0):
    theirs = f"aligned_feature_projection_heads.{i}"
    for j in range(layers):
      name = theirs if layers == 1 else f"{theirs}.fc{j + 1}"
      rules += pieces.dense(name, f"heads/{i}/fc{j + 1}")
  return rules


def teacher(method: dmae.DMAE) -> pieces.Table:
  """The teacher: an MAE encoder."""
  return pieces.encoder(method.teacher_encoder)


FAMILIES = {
  "dmae": family.Family(
    library="authors", methods=("distill.dmae",), table=family.main(student)
  )
}
