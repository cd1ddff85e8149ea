"""Weights of the authors' MaskAlign (OpenDriveLab/maskalign).

Its teacher is a CLIP: `pieces.clip`. A checkpoint of another grid: resize its
`position_embedding.weight` with `nn.posemb.resize` (prefix 1, 16x16 to 14x14
for L/14) before reading it.
"""

from jmim.convert import family
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.distill import maskalign

# Parts of a head in their order, inside a torch Sequential: (index, ours).
PARTS = {
  "linear": (("", "out"),),
  "ln-linear": ((".0", "norm"), (".1", "out")),
  "mlp": ((".0", "fc"), (".2", "out")),
  "mlp-ln": ((".0", "fc"), (".1", "norm"), (".2", "out")),
}


def student(method: maskalign.MaskAlign) -> pieces.Table:
  """Student, W and heads."""
  rules = pieces.encoder(method.encoder, "encoder/")
  if method.alignment.fusion != "simple":
    rules.append(table.Rule(theirs="distill_weights", ours="fusion"))
  for index, part in PARTS[method.alignment.head]:
    make = pieces.norm if part == "norm" else pieces.dense
    rules += make(f"distill_heads.{{i}}{index}", f"heads/layers/{part}")
  return rules


FAMILIES = {
  "maskalign": family.Family(
    library="authors",
    methods=("distill.maskalign",),
    table=family.main(student),
  )
}
