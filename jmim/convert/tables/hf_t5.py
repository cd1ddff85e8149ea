"""T5 of Transformers, v1.0, v1.1, Flan and mT5: `text.t5`.

An encoder alone (the text encoder of FLUX or PixArt) is read too: the decoder
and its head stay fresh.
"""

from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.methods.text import t5

SIDES = ("encoder", "decoder")
SHARED = "shared.weight"
# Words of their own vocabularies; what is beyond, to 32,128 and to 250,112,
# fills them up.
PIECES = {"t5": 32_100, "mt5": 250_100}
ACTS = {"gated-gelu": "gelu", "relu": "relu"}


def scale(theirs: str, ours: str) -> table.Rule:
  """A norm without a bias."""
  return table.Rule(theirs=f"{theirs}.weight", ours=f"{ours}/scale")


def attention(theirs: str, ours: str) -> pieces.Table:
  """Four maps without biases."""
  names = {"q": "q", "k": "k", "v": "v", "o": "proj"}
  return [
    rule
    for a, b in names.items()
    for rule in pieces.dense(f"{theirs}.{a}", f"{ours}/{b}", bias=False)
  ]


def side(name: str, act: str) -> pieces.Table:
  """The blocks of one side, their table of places and the last norm."""
  layers = ["SelfAttention", "DenseReluDense"]
  if name == "decoder":
    layers.insert(1, "EncDecAttention")
  theirs, ours = f"{name}.block.{{i}}.layer", f"{name}/blocks/layers"
  own = {
    "SelfAttention": ("attn", "norm1"),
    "EncDecAttention": ("cross", "norm_cross"),
    "DenseReluDense": ("mlp", "norm2"),
  }
  gated = {"wi_0": "gate", "wi_1": "up", "wo": "down"}
  maps = gated if act == "gelu" else {"wi": "up", "wo": "down"}
  rules: pieces.Table = []
  for i, layer in enumerate(layers):
    part, norm = own[layer]
    inner, outer = f"{theirs}.{i}.{layer}", f"{ours}/{part}"
    rules.append(scale(f"{theirs}.{i}.layer_norm", f"{ours}/{norm}"))
    if part == "mlp":
      for a, b in maps.items():
        rules += pieces.dense(f"{inner}.{a}", f"{outer}/{b}", bias=False)
    else:
      rules += attention(inner, outer)
  first = f"{name}.block.0.layer.0.SelfAttention.relative_attention_bias"
  rules.append(table.Rule(theirs=f"{first}.weight", ours=f"{name}/relative"))
  return [*rules, scale(f"{name}.final_layer_norm", f"{name}/norm")]


def network(act: str, tied: bool) -> pieces.Table:
  """Embeddings, both sides, and scores where they are not tied."""
  rules: pieces.Table = [table.Rule(theirs=SHARED, ours="embed/embedding")]
  for name in SIDES:
    rules += side(name, act)
  return rules if tied else rules + pieces.dense("lm_head", "head", bias=False)


def full(method: t5.T5) -> pieces.Table:
  """All of it."""
  return network(method.network.act, method.network.tied)


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """Sizes and special tokens; sentinels are the last of its own pieces."""
  options.refuse(config, layer_norm_epsilon=1e-6, decoder_start_token_id=0)
  act = config.get("feed_forward_proj", "relu")
  if act not in ACTS:
    options.refuse(config, feed_forward_proj="gated-gelu")
  words = config["vocab_size"]
  known = min(words, PIECES[config.get("model_type", "t5")])
  return dict(
    network=dict(
      words=words,
      width=config["d_model"],
      depth=config["num_layers"],
      decoder_depth=config.get("num_decoder_layers") or config["num_layers"],
      heads=config["num_heads"],
      head_width=config["d_kv"],
      hidden=config["d_ff"],
      buckets=config.get("relative_attention_num_buckets", 32),
      distance=config.get("relative_attention_max_distance", 128),
      act=ACTS[act],
      tied=config.get("tie_word_embeddings", True),
    ),
    vocabulary=known,
    sentinel=known - 1,
    pad=config.get("pad_token_id", 0),
    end=config.get("eos_token_id", 1),
  )


def write(method: t5.T5) -> dict[str, Any]:
  """T5ForConditionalGeneration."""
  net = method.network
  acts = {ours: theirs for theirs, ours in ACTS.items()}
  return dict(
    architectures=["T5ForConditionalGeneration"],
    model_type="t5",
    is_encoder_decoder=True,
    vocab_size=net.words,
    d_model=net.width,
    d_kv=net.head_width,
    d_ff=net.hidden,
    num_layers=net.depth,
    num_decoder_layers=net.decoder_depth or net.depth,
    num_heads=net.heads,
    relative_attention_num_buckets=net.buckets,
    relative_attention_max_distance=net.distance,
    feed_forward_proj=acts[net.act],
    tie_word_embeddings=net.tied,
    layer_norm_epsilon=1e-6,
    dropout_rate=0.0,
    pad_token_id=method.pad,
    eos_token_id=method.end,
    decoder_start_token_id=0,
  )


def starts_with_padding(method: t5.T5) -> str | None:
  """Their decoder starts with token 0."""
  return f"pad={method.pad}, which is 0 there" if method.pad else None


FAMILIES = {
  "hf_t5": family.Family(
    library="hf",
    methods=("text.t5",),
    table=family.main(full),
    containers=("",),
    # One table of embeddings under several names.
    ignored=(
      r"^(encoder|decoder)\.embed_tokens\.weight$",
      r"^lm_head\.weight$",
      r"EncDecAttention\.relative_attention_bias\.weight$",
    ),
    optional=(f"^{family.MAIN}(decoder|head)/",),
    check=starts_with_padding,
    read_config=read,
    write_config=write,
    model_types=("t5", "mt5"),
  )
}
