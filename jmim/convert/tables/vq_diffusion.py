"""Weights of the transformer of VQ-Diffusion (microsoft/VQ-Diffusion)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.discrete import vq_diffusion

BLOCK, LAYERS = "transformer.blocks.{i}", "net/blocks/layers"


def told(theirs: str, ours: str, kind: str) -> pieces.Table:
  """A norm that is told a time or a class; sinusoids have no table."""
  rules = pieces.dense(f"{BLOCK}.{theirs}.linear", f"{LAYERS}/{ours}/linear")
  if kind == "sinusoid":
    return rules
  name = f"{BLOCK}.{theirs}.emb.weight"
  return [table.Rule(theirs=name, ours=f"{LAYERS}/{ours}/table"), *rules]


def attention(theirs: str, ours: str) -> pieces.Table:
  """Attention of codes to each other."""
  every = [f"{BLOCK}.{theirs}.{name}" for name in pieces.QKV]
  return [
    *pieces.fused(every, f"{LAYERS}/{ours}/qkv"),
    *pieces.dense(f"{BLOCK}.{theirs}.proj", f"{LAYERS}/{ours}/proj"),
  ]


def mlp(mixer: str) -> pieces.Table:
  """Two linear layers, or two convolutions."""
  theirs, ours = f"{BLOCK}.mlp", f"{LAYERS}/mlp"
  if mixer == "linear":
    return pieces.mlp(theirs, ours, ("0", "2"))
  return [
    rule
    for name in ("conv1", "conv2")
    for rule in pieces.dense(f"{theirs}.{name}", f"{ours}/{name}", op=ops.CONV)
  ]


def text(method: vq_diffusion.VQDiffusion) -> pieces.Table:
  """Attention and norms of a block that reads a text."""
  cross = [
    rule
    for theirs, ours in zip(
      (*pieces.QKV, "proj"), ("q", "k", "v", "proj"), strict=True
    )
    for rule in pieces.dense(
      f"{BLOCK}.attn2.{theirs}", f"{LAYERS}/cross/{ours}"
    )
  ]
  return [
    *attention("attn1", "attn"),
    *cross,
    *told("ln1_1", "norm_cross", method.network.timed),
    *pieces.norm(f"{BLOCK}.ln2", f"{LAYERS}/norm2"),
  ]


def full(method: vq_diffusion.VQDiffusion) -> pieces.Table:
  """The whole network, and the learned features of no text."""
  kind, embed = method.condition.kind, "transformer.content_emb"
  same = lambda theirs, ours: table.Rule(theirs=theirs, ours=ours)
  rules = [
    same(f"{embed}.emb.weight", "net/token_embed"),
    same(f"{embed}.height_emb.weight", "net/row_embed"),
    same(f"{embed}.width_emb.weight", "net/column_embed"),
    *told("ln1", "norm1", method.network.timed),
    *mlp(method.network.mlp),
    *pieces.norm("transformer.to_logits.0", "net/norm"),
    *pieces.dense("transformer.to_logits.1", "net/head"),
  ]
  if kind == "text":
    rules += text(method)
  else:
    rules += attention("attn", "attn")
  if kind == "class":
    rules += told("ln2", "norm2", method.condition.embed)
  if kind == "none":
    rules += pieces.norm(f"{BLOCK}.ln2", f"{LAYERS}/norm2")
  if method.condition.learn_null:
    rules.append(same("empty_text_embed", "null"))
  return rules


def table_of(method: vq_diffusion.VQDiffusion) -> pieces.Table:
  """Parameters, and the history of the times."""
  state = {"Lt_history": "extra/history", "Lt_count": "extra/seen"}
  return [
    *family.main(full)(method),
    *(table.Rule(theirs=n, ours=ours) for n, ours in state.items()),
  ]


# Of a whole checkpoint: schedules, the codec, the encoder of text; the features
# of no text, where they are not learned here.
IGNORED = (
  "^(log_|condition_emb|content_codec|condition_codec|first_stage)",
  "^empty_text_embed$",
)

FAMILIES = {
  "vq_diffusion": family.Family(
    library="authors",
    methods=("discrete.vq_diffusion",),
    table=table_of,
    optional=("^extra/",),
    containers=("ema.", *family.CONTAINERS),
    # In a checkpoint all of it is one level deeper.
    aliases=(
      (r"^transformer\.(?=transformer\.)", ""),
      (r"^transformer\.(?=(log_|Lt_|condition_emb|empty_text_embed))", ""),
    ),
    ignored=IGNORED,
  )
}
