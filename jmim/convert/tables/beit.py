"""BEiT: weights and options, as its authors, timm and Transformers have it.

For `supervised.backbone` with biases by relative position, and without a bias
on k.
"""

import re
from collections.abc import Mapping
from typing import Any

from jmim.convert import table
from jmim.convert.tables import configs
from jmim.convert.tables import mae
from jmim.convert.tables import simmim
from jmim.convert.tables import timm as timms
from jmim.convert.tables import vits
from jmim.methods.supervised import backbone
from jmim.nn import sizes

Table = list[table.Rule | table.Constant]
SIZES = {"base": "B", "large": "L"}


def authors(method: backbone.Backbone) -> Table:
  """microsoft/unilm's classifier, with its tables of indices."""
  net = method.encoder
  plain = [
    rule
    for rule in mae.encoder(net, method.channels)
    if not rule.theirs.startswith("blocks.")
  ]
  blocks = [
    rule
    for rule in simmim.beit_blocks("blocks", "blocks", bool(net.layer_scale))
    if method.qkv_bias or not rule.theirs.endswith(("q_bias", "v_bias"))
  ]
  own = simmim.relative(method.relative, net.grid, net.size.depth)
  rules = table.placed([*plain, *blocks, *own], "", "encoder/")
  if method.head_norm:
    rules += mae.norm("fc_norm", "head/norm")
  return rules + mae.dense("head", "head/out")


def timm(method: backbone.Backbone) -> Table:
  """timm's Beit, which computes the indices."""
  return [r for r in authors(method) if isinstance(r, table.Rule)]


def transformers(method: backbone.Backbone) -> Table:
  """BeitForImageClassification."""
  layer, ours = "beit.encoder.layer.{i}", "encoder/blocks/layers"
  own = f"{layer}.attention.attention"
  rules: Table = [
    rule
    for rule in vits.transformers_blocks(layer, ours)
    if rule.ours != f"{ours}/attn/qkv/bias"
  ]
  for theirs, leaf in (("query", "q_bias"), ("value", "v_bias")):
    rules.append(
      table.Rule(theirs=f"{own}.{theirs}.bias", ours=f"{ours}/attn/{leaf}")
    )
  for i in (1, 2) if method.layer_scale else ():
    rules.append(
      table.Rule(theirs=f"{layer}.lambda_{i}", ours=f"{ours}/ls{i}/gamma")
    )
  name = "relative_position_bias.relative_position_bias_table"
  if method.relative == "block":
    rules.append(
      table.Rule(theirs=f"{own}.{name}", ours=f"{ours}/relative/table")
    )
  if method.relative == "shared":
    place = "encoder/rel_pos_bias/table"
    rules.append(table.Rule(theirs=f"beit.encoder.{name}", ours=place))
  norm = ("pooler.", "head/") if method.head_norm else ("", "encoder/")
  return [
    *vits.transformers_embeddings(method, "beit.embeddings"),
    *rules,
    *mae.norm(f"beit.{norm[0]}layernorm", f"{norm[1]}norm"),
    *mae.dense("classifier", "head/out"),
  ]


def objection(method: backbone.Backbone) -> str | None:
  """What a BEiT cannot be."""
  if method.positions not in ("learned", "none"):
    return f"positions={method.positions!r}, 'learned' or 'none' there"
  if method.act == "swiglu":
    return "act='swiglu'"
  mean = method.pool == "mean"
  if method.pool == "cls_mean" or (method.head_norm, method.final_norm) != (
    mean,
    not mean,
  ):
    return "it pools 'cls' with final_norm or 'mean' with head_norm there"
  return None


def _pooling(mean: bool) -> dict[str, Any]:
  return dict(
    pool="mean" if mean else "cls", head_norm=mean, final_norm=not mean
  )


def _relative(block: bool, shared: bool) -> str:
  configs.refuse(
    {"both relative position biases": block and shared},
    **{"both relative position biases": False},
  )
  return "block" if block else "shared" if shared else "none"


def read_transformers(config: Mapping[str, Any]) -> dict[str, Any]:
  """BeitForImageClassification: `supervised.backbone`."""
  get = config.get
  return dict(
    **configs.body(config),
    **configs.style(config),
    key_bias=False,
    **_pooling(get("use_mean_pooling", True)),
    classes=configs.classes(config),
    positions="learned" if get("use_absolute_position_embeddings") else "none",
    relative=_relative(
      get("use_relative_position_bias", False),
      get("use_shared_relative_position_bias", False),
    ),
    layer_scale=get("layer_scale_init_value", 0.1),
  )


def write_transformers(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read_transformers`."""
  body = configs.write_body(method, "beit", "BeitForImageClassification")
  return (
    body
    | configs.labels(method)
    | dict(
      hidden_act=configs.BACK[method.act],
      layer_norm_eps=method.eps,
      use_mean_pooling=method.pool == "mean",
      use_mask_token=False,
      use_absolute_position_embeddings=method.positions == "learned",
      use_relative_position_bias=method.relative == "block",
      use_shared_relative_position_bias=method.relative == "shared",
      layer_scale_init_value=method.layer_scale,
    )
  )


def _defaults(found: re.Match) -> dict[str, Any]:
  """The arguments of "beit_base_patch16_224" and its kin."""
  size = sizes.SIZES[SIZES[found[1]]]
  return dict(
    img_size=int(found[3]),
    patch_size=int(found[2]),
    in_chans=3,
    embed_dim=size.width,
    depth=size.depth,
    num_heads=size.heads,
    mlp_ratio=4.0,
    qkv_bias=True,
    init_values=0.1,
    global_pool="avg",
    use_abs_pos_emb=False,
    use_rel_pos_bias=True,
    use_shared_rel_pos_bias=False,
  )


def read_timm(config: Mapping[str, Any]) -> dict[str, Any]:
  """timm's config.json of a BEiT."""
  args = timms.arguments(
    config,
    rf"beit(?:v2)?_({'|'.join(SIZES)})_patch(\d+)_(\d+)",
    f"beit_<{'|'.join(SIZES)}>_patch<p>_<size>",
    _defaults,
  )
  return dict(
    variant=f"B/{args['patch_size']}",
    size=args["img_size"],
    channels=args["in_chans"],
    width=args["embed_dim"],
    depth=args["depth"],
    heads=args["num_heads"],
    mlp_ratio=float(args["mlp_ratio"]),
    qkv_bias=args["qkv_bias"],
    key_bias=False,
    layer_scale=args["init_values"] or 0.0,
    **_pooling(args["global_pool"] == "avg"),
    positions="learned" if args["use_abs_pos_emb"] else "none",
    relative=_relative(
      args["use_rel_pos_bias"], args["use_shared_rel_pos_bias"]
    ),
    classes=max(2, config.get("num_classes", 1000)),
  )


def write_timm(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read_timm`."""
  net = method.encoder
  args = dict(
    img_size=method.size,
    patch_size=net.patch,
    in_chans=method.channels,
    embed_dim=net.size.width,
    depth=net.size.depth,
    num_heads=net.size.heads,
    mlp_ratio=net.size.mlp_ratio,
    qkv_bias=method.qkv_bias,
    init_values=method.layer_scale,
    global_pool="avg" if method.pool == "mean" else "token",
    use_abs_pos_emb=method.positions == "learned",
    use_rel_pos_bias=method.relative == "block",
    use_shared_rel_pos_bias=method.relative == "shared",
  )
  return dict(
    architecture="beit_base_patch16_224",
    num_classes=method.classes,
    num_features=net.size.width,
    model_args=args,
  )
