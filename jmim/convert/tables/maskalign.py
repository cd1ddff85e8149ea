"""Weights of the authors' MaskAlign and of its teachers.

A CLIP checkpoint of another grid: resize its `position_embedding.weight` with
`nn.posemb.resize` (prefix 1, 16x16 to 14x14 for L/14) before reading it.
"""

from jmim.convert import table
from jmim.convert.tables import mae
from jmim.methods.distill import maskalign
from jmim.nn.nets import teacher as teachers

Table = list[table.Rule | table.Constant]
# Parts of a head in their order, inside a torch Sequential: (index, ours).
PARTS = {
  "linear": (("", "out"),),
  "ln-linear": ((".0", "norm"), (".1", "out")),
  "mlp": ((".0", "fc"), (".2", "out")),
  "mlp-ln": ((".0", "fc"), (".1", "norm"), (".2", "out")),
}


def student(method: maskalign.MaskAlign) -> Table:
  """Student, W and heads."""
  rules = mae.encoder(method.encoder, 3, "encoder/")
  if method.alignment.fusion != "simple":
    rules.append(table.Rule(theirs="distill_weights", ours="fusion"))
  for index, part in PARTS[method.alignment.head]:
    make = mae.norm if part == "norm" else mae.dense
    name = f"distill_heads.{{i}}{index}"
    rules += make(name, f"heads/layers/{part}")
  return rules


def clip(teacher: teachers.Teacher, theirs: str = "clip_model.") -> Table:
  """A CLIP vision tower of the transformers library, without its post norm.

  Args:
    teacher: of the family "clip".
    theirs: prefix of their names ("vision_model." in their checkpoints).
  """
  layer = f"{theirs}encoder.layers.{{i}}"
  ours = "blocks/layers"
  qkv = lambda leaf: tuple(f"{layer}.self_attn.{n}_proj.{leaf}" for n in "qkv")
  names = f"{theirs}embeddings"
  return [
    table.Rule(theirs=f"{names}.class_embedding", ours="cls_token", op=VECTOR),
    table.Rule(
      theirs=f"{names}.position_embedding.weight", ours="pos_embed", op=MATRIX
    ),
    table.Rule(
      theirs=f"{names}.patch_embedding.weight",
      ours="patch_embed/proj/kernel",
      op=table.patch_conv(3),
    ),
    *mae.norm(f"{theirs}pre_layrnorm", "norm_pre"),
    table.Rule(
      theirs=qkv("weight"), ours=f"{ours}/attn/qkv/kernel", op=table.LINEAR
    ),
    table.Rule(theirs=qkv("bias"), ours=f"{ours}/attn/qkv/bias"),
    *mae.dense(f"{layer}.self_attn.out_proj", f"{ours}/attn/proj"),
    *mae.norm(f"{layer}.layer_norm1", f"{ours}/norm1"),
    *mae.norm(f"{layer}.layer_norm2", f"{ours}/norm2"),
    *mae.dense(f"{layer}.mlp.fc1", f"{ours}/mlp/fc1"),
    *mae.dense(f"{layer}.mlp.fc2", f"{ours}/mlp/fc2"),
  ]


VECTOR = table.Op(lambda x: x[None, None], lambda x: x[0, 0])  # [d], [1, 1, d]
MATRIX = table.Op(lambda x: x[None], lambda x: x[0])  # [n, d], [1, n, d]
