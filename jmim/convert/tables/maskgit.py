"""Weights of the transformer of MaskGIT (google-research/maskgit, flax)."""

from jmim.convert import family
from jmim.convert import ops
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.discrete import maskgit

LAYER = "TransformerLayer_{i}"


def full(method: maskgit.MaskGIT) -> pieces.Table:
  """The whole network; the names are those of the modules' classes."""
  same, rule = pieces.same, table.Rule
  attention, layers = f"{LAYER}/Attention_0", "blocks/layers"
  inner, outer = ops.flax_heads(method.net.size.heads)
  every = lambda leaf: tuple(
    f"{attention}/self_attention/{name}/{leaf}" for name in pieces.QKV
  )
  out, mlp = f"{attention}/self_attention/out", f"{LAYER}/Mlp_0"
  words, places = "word_embeddings", "position_embeddings"
  return [
    rule(theirs=f"Embed_0/{words}/embedding", ours="token_embed/embedding"),
    rule(theirs=f"Embed_0/{places}/embedding", ours="pos_embed"),
    *same("Embed_0/embeddings_ln", "norm_embed", *pieces.NORM),
    rule(theirs=every("kernel"), ours=f"{layers}/attn/qkv/kernel", op=inner),
    rule(theirs=every("bias"), ours=f"{layers}/attn/qkv/bias", op=inner),
    rule(theirs=f"{out}/kernel", ours=f"{layers}/attn/proj/kernel", op=outer),
    rule(theirs=f"{out}/bias", ours=f"{layers}/attn/proj/bias"),
    *same(f"{attention}/attention_output_ln", f"{layers}/norm1", *pieces.NORM),
    *same(f"{mlp}/intermediate_output", f"{layers}/mlp/fc1", *pieces.DENSE),
    *same(f"{mlp}/layer_output", f"{layers}/mlp/fc2", *pieces.DENSE),
    *same(f"{mlp}/layer_output_ln", f"{layers}/norm2", *pieces.NORM),
    *same("MlmLayer_0/mlm_dense", "head", *pieces.DENSE),
    *same("MlmLayer_0/mlm_ln", "norm_head", *pieces.NORM),
    rule(theirs="MlmLayer_0/mlm_bias/bias", ours="logits_bias"),
  ]


FAMILIES = {
  "maskgit": family.Family(
    library="authors",
    methods=("discrete.maskgit",),
    table=family.main(full),
    containers=("params/", ""),
  )
}
