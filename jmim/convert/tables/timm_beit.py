"""BEiT as timm has it: weights and options."""

import re
from collections.abc import Mapping
from typing import Any

from jmim.convert import family
from jmim.convert import options
from jmim.convert import pieces
from jmim.convert import table
from jmim.convert.tables import _backbone
from jmim.convert.tables import beit
from jmim.methods.supervised import backbone

SIZES = {"base": "B", "large": "L"}


def full(method: backbone.Backbone) -> pieces.Table:
  """The authors' names; timm's Beit computes the indices."""
  return [r for r in beit.full(method) if isinstance(r, table.Rule)]


def _defaults(match: re.Match) -> dict[str, Any]:
  """The arguments of names such as "beit_base_patch16_224"."""
  return options.timm_sizes(match, SIZES) | dict(
    init_values=0.1,
    global_pool="avg",
    use_abs_pos_emb=False,
    use_rel_pos_bias=True,
    use_shared_rel_pos_bias=False,
  )


def read(config: Mapping[str, Any]) -> dict[str, Any]:
  """timm's config.json of a BEiT: `supervised.backbone`."""
  args = options.timm_arguments(
    config,
    rf"beit(?:v2)?_({'|'.join(SIZES)})_patch(\d+)_(\d+)",
    f"beit_<{'|'.join(SIZES)}>_patch<p>_<size>",
    _defaults,
  )
  return dict(
    **options.timm_dims(args),
    key_bias=False,
    layer_scale=args["init_values"] or 0.0,
    **beit.pooling(args["global_pool"] == "avg"),
    positions="learned" if args["use_abs_pos_emb"] else "none",
    relative=beit.relative(
      args["use_rel_pos_bias"], args["use_shared_rel_pos_bias"]
    ),
    classes=options.timm_classes(config),
  )


def write(method: backbone.Backbone) -> dict[str, Any]:
  """The inverse of `read`."""
  args = options.write_timm(method) | dict(
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
    num_features=args["embed_dim"],
    model_args=args,
  )


FAMILIES = {
  "timm_beit": family.Family(
    library="timm",
    methods=_backbone.METHODS,
    table=family.main(full),
    optional=family.HEAD,
    ignored=(r"relative_position_index$",),
    fixed=beit.FIXED | {"eps": 1e-6},
    check=beit.objection,
    read_config=read,
    write_config=write,
    timm_names=("beit", "beitv2"),
  )
}
