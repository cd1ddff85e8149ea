"""Qwen2 of Transformers: the language model of `latent.mmar`.

Its ViT, projector and head have no place there: read, they stay fresh; written,
they are left out. Qwen2.5 has the same layout; a window of attention, a scaled
rotary base and mixtures of experts are none of ours.
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.latent import mmar

MAPS = (
  ("self_attn.q_proj", "attn/q", True),
  ("self_attn.k_proj", "attn/k", True),
  ("self_attn.v_proj", "attn/v", True),
  ("self_attn.o_proj", "attn/proj", False),
  ("mlp.gate_proj", "mlp/gate", False),
  ("mlp.up_proj", "mlp/up", False),
  ("mlp.down_proj", "mlp/down", False),
)
EMBED = "embed/embedding"


def full(method: mmar.MMAR) -> pieces.Table:
  """Embeddings, blocks, and scores where they are not tied."""
  theirs, ours = "model.layers.{i}", "decoder/blocks/layers"
  same = lambda theirs, ours: table.Rule(theirs=f"{theirs}.weight", ours=ours)
  rules = [same("model.embed_tokens", EMBED)]
  for name, own, bias in MAPS:
    rules += pieces.dense(f"{theirs}.{name}", f"{ours}/{own}", bias=bias)
  rules += [
    same(f"{theirs}.input_layernorm", f"{ours}/norm1/scale"),
    same(f"{theirs}.post_attention_layernorm", f"{ours}/norm2/scale"),
    same("model.norm", "decoder/norm/scale"),
  ]
  if not method.network.lm.tied:
    rules += pieces.dense("lm_head", "head", bias=False)
  return table.placed(rules, "", "lm/")


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Sizes and special tokens; without a padding, texts end with their end."""
  options.refuse(
    config, hidden_act="silu", use_sliding_window=False, rope_scaling=None
  )
  rope = config.get("rope_parameters") or {}  # of Transformers 5
  options.refuse(rope, rope_type="default")
  theta = config.get("rope_theta", rope.get("rope_theta", 1e4))
  heads = config["num_attention_heads"]
  lm = dict(
    dims=dict(
      width=config["hidden_size"],
      depth=config["num_hidden_layers"],
      heads=heads,
    ),
    hidden=config["intermediate_size"],
    kv_heads=config.get("num_key_value_heads") or heads,
    theta=float(theta),
    eps=config["rms_norm_eps"],
    tied=config.get("tie_word_embeddings", False),
  )
  end = config["eos_token_id"]
  end = end[0] if isinstance(end, list) else end
  known = dict(begin=config.get("bos_token_id"), pad=config.get("pad_token_id"))
  special = {n: end if token is None else token for n, token in known.items()}
  return dict(
    size=mmar.MMAR().size,
    network=dict(lm=lm),
    text=dict(words=config["vocab_size"], end=end, **special),
  )


def write(method: mmar.MMAR) -> dict[str, Any]:
  """Qwen2ForCausalLM."""
  lm, (pad, begin, end) = method.network.lm, method.text.special
  return dict(
    architectures=["Qwen2ForCausalLM"],
    model_type="qwen2",
    hidden_act="silu",
    hidden_size=lm.dims.width,
    num_hidden_layers=lm.dims.depth,
    num_attention_heads=lm.dims.heads,
    num_key_value_heads=lm.kv_heads,
    intermediate_size=lm.hidden,
    rope_theta=lm.theta,
    rms_norm_eps=lm.eps,
    tie_word_embeddings=lm.tied,
    vocab_size=method.text.size,
    bos_token_id=begin,
    eos_token_id=end,
    pad_token_id=pad,
    use_sliding_window=False,
  )


FAMILIES = {
  "hf_qwen2": family.Family(
    library="hf",
    methods=("latent.mmar",),
    table=family.main(full),
    containers=("",),
    # A bare model has no prefix; a tied one may store its head twice.
    aliases=((r"^(embed_tokens|layers|norm)\.", r"model.\1."),),
    ignored=(r"rotary_emb\.inv_freq$", r"^lm_head\.weight$"),
    unsupported=(r"^params/main/(vision|head)/",),
    fixed={"network.lm.lora.rank": 0},
    read_config=read,
    write_config=write,
    model_types=("qwen2",),
  )
}
