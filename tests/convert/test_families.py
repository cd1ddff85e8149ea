"""Every family: there and back bit-equal; what does not fit is named."""

import dataclasses

import jax
import numpy as np
import pytest

from jmim.convert import families
from jmim.convert import files
from jmim.convert import plan
from jmim.convert import table
from jmim.core import discovery
from jmim.core import errors
from jmim.core import tree as trees

VIT = dict(
  variant="Ti/4",
  size=16,
  width=32,
  depth=2,
  heads=4,
  classes=6,
  mixup=0.0,
  cutmix=0.0,
)
CLIP = dict(
  pre_norm=True, patch_bias=False, head_bias=False, act="quick_gelu", eps=1e-5
)
BEIT = dict(key_bias=False, positions="none", layer_scale=0.5)
DINO3 = dict(positions="rotary", registers=2, layer_scale=0.5, key_bias=False)
GIANT = dict(layer_scale=0.5, pool="cls_mean", act="swiglu", mlp_ratio=2.75)
# Of a method with options: those that each family is for.
OPTIONS = {
  "dinov2": dict(registers=2, layer_scale=0.5, pool="cls_mean"),
  "open_clip": CLIP,
  "hf_clip": CLIP,
  "hf_vit": dict(qkv_bias=False),
  "hf_ijepa": dict(cls=False, pool="mean"),
  "hf_dinov2": dict(layer_scale=0.5, pool="cls_mean"),
  "hf_dinov2_with_registers": dict(
    layer_scale=0.5, registers=3, pool="cls_mean"
  ),
  "timm_vit": dict(
    pool="mean", head_norm=True, final_norm=False, layer_scale=0.5
  ),
  "big_vision": {},
  "beit": dict(relative="block", **BEIT),
  "hf_beit": dict(relative="shared", **BEIT),
  "timm_beit": BEIT
  | dict(positions="learned", pool="mean", head_norm=True, final_norm=False),
  "dinov3": DINO3 | dict(act="swiglu"),
  "hf_dinov3": DINO3,
}
VIDEO = dict(decoder_ratio=0.0)
SWIN = dict(
  variant="SwinB/2",
  size=16,
  width=8,
  depths=(2, 2),
  heads=(2, 4),
  window=4,
  square=4,
)
SIT = dict(norm="layer", swiglu=False, rotary=False, qk_norm=False, spare=True)
GIANTS = ("dinov2", "hf_dinov2")
CASES = (
  [("simmim swin", "mim.simmim")]
  + [("lightningdit plain", "diffusion.lightningdit")]
  + [(f"{family} giant", "supervised.backbone") for family in GIANTS]
  + [(n, m) for n, f in families.FAMILIES.items() for m in f.methods]
)


def tiny(family, name):
  cls = discovery.find(name)
  if "giant" in family:
    return cls(**VIT, **GIANT)
  if family in OPTIONS:
    return cls(**VIT, **OPTIONS[family])
  if "swin" in family and name == "mim.simmim":
    return cls(**SWIN)
  if family in ("sit", "lightningdit plain"):
    return dataclasses.replace(cls.tiny(), **SIT)
  if family == "hf_videomae":
    return dataclasses.replace(cls.tiny(), **VIDEO)
  return cls.tiny()


def shapes(method):
  """{"params": ..., "extra": ...} as shapes."""
  like = {
    n: jax.ShapeDtypeStruct((2, *i.shape), i.dtype)
    for n, i in method.inputs().items()
  }
  params, extra = jax.eval_shape(method.init, jax.random.key(0), like)
  return {"params": params, "extra": extra}


def filled(like):
  """Random leaves of these shapes."""
  rng = np.random.default_rng(0)
  return {
    n: rng.normal(size=x.shape).astype(x.dtype)
    for n, x in trees.named(like).items()
  }


def exported(family, method, arrays):
  """What is written for the leaves that have a place."""
  rules = family.table(method)
  left = {n for n in arrays if _left_out(family, n)}
  kept = {n: x for n, x in arrays.items() if n not in left}
  table.check_export(rules, kept)
  return dict(table.export_stream(rules, kept)), kept


def _left_out(family, name):
  return any(trees.matches(p, name) for p in family.left_out)


def weights(arrays):
  entries = {
    n: files.Entry(x.shape, x.dtype, lambda x=x: x) for n, x in arrays.items()
  }
  return files.Weights(entries, "test")


@pytest.mark.parametrize("family, name", CASES)
def test_there_and_back_is_bit_equal(family, name):
  found, method = families.FAMILIES[family.split()[0]], tiny(family, name)
  assert found.objection(name, method) is None
  like = shapes(method)
  arrays = filled(like)
  if family == "umd":  # one bias per channel there: equal over a patch
    bias = arrays["params/main/pred/bias"].reshape(method.patch**2, -1)
    bias[:] = bias[0]
  theirs, kept = exported(found, method, arrays)
  made = plan.make(found, method, weights(theirs), like)
  shown = {n: x.shape for n, x in theirs.items()}
  assert shown == table.shapes(found.table(method), kept)
  back = dict(made.leaves())
  assert back.keys() == kept.keys()
  assert set(made.fresh) == set(trees.named(like)) - set(kept)
  for leaf, array in kept.items():
    np.testing.assert_array_equal(back[leaf], array, leaf)


@pytest.mark.parametrize("container", ["model.", "module."])
def test_containers_are_opened_and_the_rest_is_listed(container):
  found, method = families.FAMILIES["mae"], tiny("mae", "mim.mae")
  like = shapes(method)
  theirs, kept = exported(found, method, filled(like))
  inside = {container + n: x for n, x in theirs.items()}
  if container == "model.":
    inside["optimizer.state.0.exp_avg"] = np.zeros(3)
  made = plan.make(found, method, weights(inside), like)
  assert dict(made.leaves()).keys() == kept.keys()
  assert made.ignored == [n for n in inside if n.startswith("optimizer")]


def test_weights_without_the_decoder_leave_it_fresh():
  found, method = families.FAMILIES["mae"], tiny("mae", "mim.mae")
  like = shapes(method)
  theirs, _ = exported(found, method, filled(like))
  part = {
    n: x for n, x in theirs.items() if "decoder" not in n and n != "mask_token"
  }
  made = plan.make(found, method, weights(part), like)
  assert {n.split("/")[2] for n in made.fresh} == {"decoder"}
  del part["norm.bias"]
  part["decoder_norm.bias"] = theirs["decoder_norm.bias"]
  with pytest.raises(errors.UserError, match="missing: norm.bias"):
    plan.make(found, method, weights(part), like)


def test_a_decoder_without_blocks_goes_there_and_back():
  found = families.FAMILIES["mae"]
  method = dataclasses.replace(tiny("mae", "mim.mae"), decoder_depth=0)
  like = shapes(method)
  theirs, kept = exported(found, method, filled(like))
  back = dict(plan.make(found, method, weights(theirs), like).leaves())
  assert {n: x.shape for n, x in back.items()} == {
    n: x.shape for n, x in kept.items()
  }


def turned(arrays):
  arrays["blocks.1.mlp.fc1.weight"] = arrays["blocks.1.mlp.fc1.weight"].T


def renamed(arrays):
  arrays["blocks.0.attn.qkv.wait"] = arrays.pop("blocks.0.attn.qkv.weight")


@pytest.mark.parametrize(
  "change, seen",
  [
    (turned, [r"shape of blocks\.1\.mlp\.fc1\.weight: .*transposed"]),
    (
      renamed,
      [
        r"missing: blocks\.0\.attn\.qkv\.weight",
        r"unknown: blocks\.0\.attn\.qkv\.wait",
      ],
    ),
    (lambda w: w.update(extra=np.zeros(1)), ["unknown: extra"]),
    (lambda w: w.pop("blocks.1.norm1.bias"), [r"missing: blocks\.1\.norm1"]),
  ],
)
def test_each_difference_is_in_one_error(change, seen):
  found, method = families.FAMILIES["mae"], tiny("mae", "mim.mae")
  like = shapes(method)
  theirs, _ = exported(found, method, filled(like))
  change(theirs)
  for text in seen:
    with pytest.raises(errors.UserError, match=text):
      plan.make(found, method, weights(theirs), like)


def test_another_family_is_an_error_with_its_names():
  method = tiny("hf_vit", "supervised.backbone")
  like = shapes(method)
  theirs, _ = exported(families.FAMILIES["hf_vit"], method, filled(like))
  other = tiny("timm_vit", "supervised.backbone")
  with pytest.raises(errors.UserError, match="unknown: vit.embeddings") as e:
    plan.make(
      families.FAMILIES["timm_vit"], other, weights(theirs), shapes(other)
    )
  assert "missing: patch_embed.proj.weight" in str(e.value)
  with pytest.raises(errors.UserError, match="hf_vit_mae"):
    families.find("vit_mea")


def test_positions_are_resized_only_when_asked():
  found = families.FAMILIES["hf_vit"]
  method = tiny("hf_vit", "supervised.backbone")
  larger = dataclasses.replace(method, size=24)
  theirs, kept = exported(found, method, filled(shapes(method)))
  like = shapes(larger)
  with pytest.raises(errors.UserError, match="shape of vit.embeddings.pos"):
    plan.make(found, larger, weights(theirs), like)
  made = plan.make(
    found, larger, weights=weights(theirs), like=like, resize_positions=True
  )
  assert made.resized == ["params/main/encoder/pos_embed"]
  got = dict(made.leaves())[made.resized[0]]
  np.testing.assert_array_equal(got[:, 0], kept[made.resized[0]][:, 0])
  assert got.shape == (1, 1 + 36, 32)
  # Fixed positions of another grid are computed, not compared.
  found, method = families.FAMILIES["mae"], tiny("mae", "mim.mae")
  theirs, _ = exported(found, method, filled(shapes(method)))
  larger = dataclasses.replace(method, size=24)
  with pytest.raises(errors.UserError, match="shape of pos_embed"):
    plan.make(found, larger, weights(theirs), shapes(larger))
  made = plan.make(
    found,
    larger,
    weights=weights(theirs),
    like=shapes(larger),
    resize_positions=True,
  )
  assert set(made.ignored) == {"pos_embed", "decoder_pos_embed"}


def test_a_method_that_does_not_exist_there_is_refused():
  method = tiny("hf_clip", "supervised.backbone")
  with pytest.raises(errors.UserError, match="big_vision: pre_norm=True"):
    families.for_export("big_vision", "supervised.backbone", method)
  assert families.for_export("hf", "supervised.backbone", method)[0] == (
    "hf_clip"
  )


def test_copies_that_differ_are_refused():
  found, method = families.FAMILIES["diffusers_dit"], tiny("", "diffusion.dit")
  like = shapes(method)
  theirs, _ = exported(found, method, filled(like))
  name = "transformer_blocks.1.norm1.emb.timestep_embedder.linear_1.bias"
  theirs[name] = theirs[name] + 1
  made = plan.make(found, method, weights(theirs), like)
  with pytest.raises(errors.UserError, match="not equal to that of layer 0"):
    dict(made.leaves())
