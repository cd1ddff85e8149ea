"""A classifier in the form that libraries have: `supervised.backbone`.

A network that was fine-tuned, or one with a linear classifier that an evaluator
fitted to it, has no place of its own in a library. It computes what a plain ViT
with a classifier computes, whose layouts are known; here it becomes one:

    fixed positions          a table, stored
    bias of k                left out: it shifts the logits of a query alike
    mean of the patches      half of (class token, mean) with weights 0 on the
                             former, and LayerScales of 1 (DINOv2)
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np

from jmim.checkpoints import heads as stored
from jmim.convert import family
from jmim.convert import files
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import validate
from jmim.nn import posemb
from jmim.nn.decoders import heads
from jmim.nn.nets import vit

NAME = "supervised.backbone"
ENCODER, HEAD = f"{family.MAIN}encoder/", f"{family.MAIN}head/"
LAYERS = f"{ENCODER}blocks/layers/"
# Output of a method -> what the head of the equal network pools.
POOLS = {"features": "mean", "cls": "cls"}
TAKEN = (
  *("positions", "order", "table_grid", "layer_scale", "maskable"),
  *("rt", "parent", "name"),
)
STYLE = {"qkv_bias": True, "act": "gelu", "eps": 1e-6}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Equal:
  """A method of NAME, and the leaves with which it computes the same."""

  method: Any
  leaves: files.Weights


def finetuned(method: Any, leaves: files.Weights) -> list[Equal]:
  """What computes the same logits as a fine-tuned ViT; [] if it is none.

  Args:
    method: any.
    leaves: all of its leaves.
  """
  net, head = (getattr(method, name, None) for name in ("encoder", "head"))
  if not isinstance(net, vit.ViT) or not isinstance(head, heads.MeanPoolHead):
    return []
  renamed = {
    f"{HEAD}{a}/{leaf}": f"{HEAD}{b}/{leaf}"
    for a, b, more in (("norm", "fc_norm", "scale"), ("out", "head", "kernel"))
    for leaf in (more, "bias")
  }
  own = {new: leaves.entries[old] for new, old in renamed.items()}
  fields = dict(classes=head.classes, pool="mean", head_norm=True)
  return list(_forms(method, leaves, own=own, fields=fields))


def probed(
  method: Any, leaves: files.Weights, head: stored.Head
) -> list[Equal]:
  """What computes the logits of a linear classifier on a ViT's output.

  Args:
    method: whose output is read.
    leaves: all of its leaves.
    head: the classifier.

  Raises:
    UserError: no ViT, or an output that no library's classifier reads.
  """
  net = getattr(method, "encoder", None)
  fits = isinstance(net, vit.ViT) and head.predict in POOLS
  if not fits or head.names:
    told = f" that tells {', '.join(head.names[:4])}" if head.names else ""
    raise errors.UserError(
      f"--head: a classifier of {head.predict!r} of {type(method).__name__}"
      f"{told}",
      f"one of the labels, of {' or '.join(POOLS)} of a ViT",
      "evaluate a probe of one of these (evals.probe.predict)",
      "--head",
    )
  own = {
    f"{HEAD}out/kernel": _entry(head.kernel),
    f"{HEAD}out/bias": _entry(head.bias),
  }
  fields = dict(classes=len(head.bias), pool=POOLS[head.predict])
  return list(_forms(method, leaves, own=own, fields=fields))


def _forms(
  method: Any,
  leaves: files.Weights,
  own: dict[str, files.Entry],
  fields: dict[str, Any],
) -> Iterator[Equal]:
  """The same classifier in each form that a library may have a place for."""
  net = method.encoder
  known = _fields(net) | fields
  known |= dict(size=method.size, channels=method.channels)
  entries = own | {
    n: x
    for n, x in leaves.entries.items()
    if n.startswith(ENCODER) and n != f"{ENCODER}mask_token"
  }
  if net.positions == "sincos":
    width = net.size.width
    rows = posemb.sincos_2d(width, net.grid, net.order, prefix=int(net.cls))
    entries[f"{ENCODER}pos_embed"] = _entry(rows[None].astype(np.float32))
  yield _equal(net, known, entries, leaves.where)
  bias = f"{LAYERS}attn/qkv/bias"
  if bias in entries:
    yield _equal(
      net, known | dict(key_bias=False), _unkeyed(entries, bias), leaves.where
    )
  if known["pool"] == "mean" and net.cls and not known.get("head_norm"):
    wide = known | dict(pool="cls_mean", layer_scale=net.layer_scale or 1.0)
    yield _equal(net, wide, _widened(entries, net), leaves.where)


def _equal(net, fields, entries, where) -> Equal:
  """Checks that the network of these fields is the one given."""
  made = validate.build(discovery.find(NAME), fields, "method")
  ours, theirs = _seen(net), _seen(made.encoder)
  other = [k for k, v in ours.items() if v != theirs[k]]
  if other:
    raise errors.UserError(
      f"an encoder with {', '.join(f'{k}={ours[k]!r}' for k in other)}",
      "a plain ViT, which libraries have",
      "use --format=safetensors without --head",
      "--format",
    )
  return Equal(method=made, leaves=files.Weights(entries, where))


def _seen(net: vit.ViT) -> dict[str, Any]:
  """Attributes that must be equal; others are taken, or differ on purpose."""
  found = {f.name: getattr(net, f.name) for f in dataclasses.fields(net)}
  style = STYLE | dict(net.style) | {"qkv_bias": None}
  return {k: v for k, v in found.items() if k not in TAKEN} | {"style": style}


def _fields(net: vit.ViT) -> dict[str, Any]:
  """Fields of NAME whose encoder this is, but for its fixed positions."""
  style, size = STYLE | dict(net.style), net.size
  bias = style["qkv_bias"]
  table = net.table_grid if net.table_grid != net.grid else None
  own = "block" if "window" in style else "none"
  return dict(
    dims=dict(
      variant=f"B/{net.patch}",
      width=size.width,
      depth=size.depth,
      heads=size.heads,
      mlp_ratio=float(size.mlp_ratio),
    ),
    positions="learned" if net.positions == "sincos" else net.positions,
    table_size=table[0] * net.patch if table else 0,
    theta=net.theta,
    relative="shared" if net.relative else own,
    cls=net.cls,
    registers=net.registers,
    qkv_bias=bool(bias),
    key_bias=bias != "qv",
    patch_bias=net.patch_bias,
    layer_scale=net.layer_scale,
    act=style["act"],
    eps=style["eps"],
    pre_norm=net.pre_norm,
    final_norm=net.final_norm,
  )


def _unkeyed(entries, name) -> dict[str, files.Entry]:
  """Without the bias of k, as BEiT has it."""
  whole = entries[name]
  layers, width = whole.shape[0], whole.shape[1] // 3
  third = lambda i: lambda: whole.read()[:, i * width : (i + 1) * width]
  parts = {
    f"{LAYERS}attn/{n}_bias": files.Entry(
      (layers, width), whole.dtype, third(i)
    )
    for i, n in ((0, "q"), (2, "v"))
  }
  return {n: x for n, x in entries.items() if n != name} | parts


def _widened(entries, net) -> dict[str, files.Entry]:
  """A classifier of (class token, mean) that does not look at the former."""
  kernel = entries[f"{HEAD}out/kernel"]
  width, classes = kernel.shape
  wide = lambda: np.concatenate([np.zeros_like(kernel.read()), kernel.read()])
  made = files.Entry((2 * width, classes), kernel.dtype, wide)
  ones = _entry(np.ones((net.size.depth, width), np.float32))
  scales = {f"{LAYERS}ls{i}/gamma": ones for i in (1, 2)}
  return scales | entries | {f"{HEAD}out/kernel": made}


def section(method: Any) -> dict[str, Any]:
  """Its section of a config."""
  return {"type": NAME, **field.settings(method)}


def _entry(array: np.ndarray) -> files.Entry:
  return files.Entry(array.shape, array.dtype, lambda: array)
