"""What the tests of tables share: methods, random weights, one whole check."""

import json
from typing import Any
from typing import NamedTuple

import jax
import numpy as np

from jmim.convert import families
from jmim.convert import family as layouts
from jmim.convert import files
from jmim.convert import plan
from jmim.convert import table
from jmim.core import discovery
from jmim.core import field
from jmim.core import renamed
from jmim.core import tree as trees
from jmim.core import validate

# `supervised.backbone` without anything special.
VIT = dict(
  variant="Ti/4",
  size=16,
  width=32,
  depth=2,
  heads=4,
  classes=6,
  mixup=0.0,
  cutmix=0.0,
  positions="learned",
  registers=0,
  key_bias=True,
  patch_bias=True,
  layer_scale=0.0,
  act="gelu",
  pre_norm=False,
  pool="cls",
  head_norm=False,
)
# What makes it, by `tiny("vit", **...)`, the ViT of others.
BEIT = dict(key_bias=False, positions="none", layer_scale=0.5, relative="block")
BEIT_MEAN = dict(pool="mean", head_norm=True, final_norm=False)
CLIP = dict(
  pre_norm=True, patch_bias=False, head_bias=False, act="quick_gelu", eps=1e-5
)
DINOV3 = dict(positions="rotary", registers=2, layer_scale=0.5, key_bias=False)
# `mim.simmim` on a Swin.
SIMMIM_SWIN = dict(
  variant="SwinB/2",
  size=16,
  width=8,
  depths=(2, 2),
  heads=(2, 4),
  window=4,
  square=4,
)


class Written(NamedTuple):
  """Random weights of a method, and what a family writes of them.

  Attributes:
    family: the layout.
    method: the method.
    like: leaf name -> shape and type, of all its leaves.
    ours: leaf name -> array, of the leaves that have a place there.
    theirs: their name -> array.
  """

  family: layouts.Family
  method: Any
  like: dict[str, Any]
  ours: dict[str, np.ndarray]
  theirs: dict[str, np.ndarray]


def tiny(name, **fields):
  """The tiny instance of a method with other fields, by today's or older keys.

  Args:
    name: of the method; "vit" is a plain `supervised.backbone`.
    **fields: keys of its section of a config.
  """
  if name == "vit":
    name, fields = "supervised.backbone", VIT | fields
  cls = discovery.find(name)
  entries = field.settings(cls.tiny())
  for key, value in renamed.current(cls, fields).items():
    entries[key] = entries[key] | value if isinstance(value, dict) else value
  return validate.build(cls, entries, "method")


def shapes(method):
  """Leaf name -> shape and type, of "params/..." and "extra/..."."""
  like = {
    n: jax.ShapeDtypeStruct((2, *i.shape), i.dtype)
    for n, i in method.inputs().items()
  }
  params, extra = jax.eval_shape(method.init, jax.random.key(0), like)
  return trees.named({"params": params, "extra": extra})


def filled(like):
  """Leaf name -> random array of these shapes."""
  rng = np.random.default_rng(0)
  return {n: rng.normal(size=x.shape).astype(x.dtype) for n, x in like.items()}


def weights(arrays):
  """Arrays as a file that was opened."""
  entries = {
    n: files.Entry(x.shape, x.dtype, lambda x=x: x) for n, x in arrays.items()
  }
  return files.Weights(entries, "test")


def export(name, method, arrays=None):
  """What the family writes of these, or of random, leaves of the method."""
  family, like = families.find(name), shapes(method)
  arrays = filled(like) if arrays is None else arrays
  ours = {
    n: x
    for n, x in arrays.items()
    if not layouts.matches(family.unsupported, n)
  }
  rules = family.table(method)
  table.check_export(rules, ours)
  theirs = dict(table.export_stream(rules, ours))
  return Written(family, method, like=like, ours=ours, theirs=theirs)


def load(written, theirs=None, **options):
  """(plan, leaf name -> array) of what was written, or of other arrays."""
  made = plan.make(
    written.family,
    written.method,
    weights=weights(written.theirs if theirs is None else theirs),
    like=written.like,
    **options,
  )
  return made, dict(made.leaves())


def check(name, method, arrays=None):
  """A table's names are a bijection, and arrays come back bit for bit.

  Each leaf of the method is named once; no name of theirs is given twice; the
  shapes that are expected of a file are those that are written; reading what
  was written gives every leaf again, and only those that have no place stay
  fresh.

  Returns:
    what was written.
  """
  written = export(name, method, arrays)
  rules = written.family.table(method)
  kind = type(method).__module__.removeprefix("jmim.methods.")
  assert written.family.objection(kind, method) is None
  ours = [n for r in rules if isinstance(r, table.Rule) for n in sides(r.ours)]
  assert sorted(ours) == sorted(written.ours)
  streamed = [n for n, _ in table.export_stream(rules, written.ours)]
  assert len(set(streamed)) == len(streamed)
  expected = table.shapes(rules, written.ours)
  assert expected == {n: x.shape for n, x in written.theirs.items()}
  made, back = load(written)
  assert back.keys() == written.ours.keys()
  for leaf, array in written.ours.items():
    np.testing.assert_array_equal(back[leaf], array, leaf)
  assert set(made.fresh) == set(written.like) - set(written.ours)
  return written


def sides(names):
  """The names of one side of a rule."""
  return [names] if isinstance(names, str) else list(names)


def check_config(name, method, *networks):
  """What a family writes as config.json is detected and read as it was.

  Args:
    name: the family.
    method: the method.
    *networks: properties of the method that must be built equal.

  Returns:
    the config.json.
  """
  family = families.find(name)
  config = json.loads(json.dumps(family.write_config(method)))
  assert families.detect(config) == name
  fields = family.read_config(config)
  again = validate.build(type(method), fields, "method")
  assert family.objection(family.methods[0], again) is None
  for network in networks:
    assert getattr(again, network) == getattr(method, network), network
  assert json.loads(json.dumps(family.write_config(again))) == config
  return config
