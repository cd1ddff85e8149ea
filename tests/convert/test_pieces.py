"""Rules that many tables share: names, biases, and what they compute."""

import jax
import kit
import numpy as np
import pytest

from jmim.convert import pieces
from jmim.convert import table
from jmim.core import tree as trees
from jmim.nn import posemb
from jmim.nn import sizes
from jmim.nn.nets import vit

SIZE = sizes.Size(width=16, depth=2, heads=2, mlp_ratio=2.0)


def names(rules):
  """{ours: theirs} of all rules; constants are "fixed"."""
  found = {}
  for rule in rules:
    fixed = isinstance(rule, table.Constant)
    found["fixed" if fixed else rule.ours] = rule.theirs
  return found


def model(**fields):
  return vit.ViT(size=SIZE, patch=4, grid=(2, 2), **fields)


def test_layers_have_weight_and_bias():
  assert names(pieces.dense("a", "b")) == {
    "b/kernel": "a.weight",
    "b/bias": "a.bias",
  }
  assert names(pieces.dense("a", "b", bias=False)) == {"b/kernel": "a.weight"}
  assert names(pieces.norm("a", "b")) == {
    "b/scale": "a.weight",
    "b/bias": "a.bias",
  }
  assert names(pieces.same("a", "b", "kernel")) == {"b/kernel": "a/kernel"}


def test_fused_layers_are_side_by_side():
  rules = pieces.fused(["q", "k", "v"], "qkv")
  rng = np.random.default_rng(0)
  theirs = {f"{n}.weight": rng.normal(size=(4, 3)) for n in "qkv"}
  theirs |= {f"{n}.bias": rng.normal(size=4) for n in "qkv"}
  ours = table.import_tree(rules, theirs)["qkv"]
  x = rng.normal(size=3)
  want = np.concatenate(
    [theirs[f"{n}.weight"] @ x + theirs[f"{n}.bias"] for n in "qkv"]
  )
  np.testing.assert_allclose(x @ ours["kernel"] + ours["bias"], want)


def test_swiglu_has_the_gate_first():
  rules = pieces.swiglu("m", "mlp", ("w12", "w3"))
  theirs = {
    "m.w12.weight": np.arange(8.0).reshape(4, 2),
    "m.w12.bias": np.arange(4.0),
    "m.w3.weight": np.ones((2, 2)),
    "m.w3.bias": np.ones(2),
  }
  mlp = table.import_tree(rules, theirs)["mlp"]
  np.testing.assert_array_equal(mlp["gate"]["bias"], [0, 1])
  np.testing.assert_array_equal(mlp["up"]["bias"], [2, 3])
  np.testing.assert_array_equal(mlp["up"]["kernel"], [[4, 6], [5, 7]])


STYLES = {
  "plain": {},
  "unbiased": dict(style=dict(qkv_bias=False)),
  "gated": dict(style=dict(act="swiglu"), layer_scale=0.5),
  "learned": dict(positions="learned", cls=False, final_norm=False),
  "clip": dict(positions="learned", pre_norm=True, patch_bias=False),
}


def leaves(net):
  """Names of a network's parameters."""
  image = np.zeros((1, 8, 8, 3), np.float32)
  params = jax.eval_shape(net.init, jax.random.key(0), image)["params"]
  return set(trees.named(params))


@pytest.mark.parametrize("case", STYLES)
def test_timms_encoder_names_every_parameter_of_a_vit(case):
  net = model(**STYLES[case])
  rules = [r for r in pieces.encoder(net) if isinstance(r, table.Rule)]
  ours = [n for r in rules for n in kit.sides(r.ours)]
  assert sorted(ours) == sorted(leaves(net))


BEITS = {
  "none": dict(style=dict(qkv_bias="qv")),
  "shared": dict(style=dict(qkv_bias="qv"), relative=True, layer_scale=0.1),
  "block": dict(style=dict(qkv_bias="qv", window=(2, 2), window_prefix=1)),
  "unbiased": dict(style=dict(qkv_bias=False), positions="none"),
}


@pytest.mark.parametrize("case", BEITS)
def test_beits_encoder_names_every_parameter_of_a_vit(case):
  net = model(**BEITS[case])
  rules = [r for r in pieces.beit_encoder(net) if isinstance(r, table.Rule)]
  ours = [n for r in rules for n in kit.sides(r.ours)]
  assert sorted(ours) == sorted(leaves(net))


def test_fixed_positions_are_checked_and_learned_ones_read():
  (fixed,) = (
    r for r in pieces.stem(model(order="yx")) if isinstance(r, table.Constant)
  )
  rows = posemb.sincos_2d(16, (2, 2), "yx", prefix=1)
  np.testing.assert_array_equal(fixed.value[0], rows)
  learned = names(pieces.stem(model(positions="learned"), "encoder/"))
  assert learned["encoder/pos_embed"] == "pos_embed"
  assert "fixed" not in learned
  assert "fixed" not in names(pieces.stem(model(positions="rotary")))


def test_indices_of_relative_positions_are_those_of_the_grid():
  rules = pieces.relative(model(**BEITS["block"]))
  index = [r for r in rules if isinstance(r, table.Constant)]
  assert [r.theirs for r in index] == [
    f"blocks.{i}.attn.relative_position_index" for i in range(2)
  ]
  np.testing.assert_array_equal(
    index[0].value, posemb.relative_index((2, 2), 1)
  )
  assert pieces.relative(model()) == []


def test_transformers_put_registers_after_cls():
  net = model(positions="learned", registers=2)
  found = names(pieces.hf_embeddings(net, "e", "encoder"))
  assert found["encoder/register_tokens"] == "e.register_tokens"
  assert found["encoder/cls_token"] == "e.cls_token"
  assert found["encoder/pos_embed"] == "e.position_embeddings"
  bare = names(pieces.hf_embeddings(model(cls=False), "e", "encoder"))
  assert set(bare) == {
    "encoder/patch_embed/proj/kernel",
    "encoder/patch_embed/proj/bias",
  }


def test_a_clip_tower_names_every_parameter_but_its_last_norm():
  net = model(positions="learned", pre_norm=True, patch_bias=False)
  ours = [n for r in pieces.clip(4) for n in kit.sides(r.ours)]
  assert sorted([*ours, "norm/scale", "norm/bias"]) == sorted(leaves(net))


def test_attention_of_flax_computes_the_same():
  rng = np.random.default_rng(0)
  w, h, d = 6, 2, 3
  theirs = {
    f"a/{n}/{leaf}": rng.normal(size=shape)
    for n in pieces.QKV
    for leaf, shape in (("kernel", (w, h, d)), ("bias", (h, d)))
  }
  theirs |= {
    "a/out/kernel": rng.normal(size=(h, d, w)),
    "a/out/bias": rng.normal(size=w),
  }
  rules = pieces.flax_attention("a", "attn", heads=h)
  ours = table.import_tree(rules, theirs)["attn"]
  x = rng.normal(size=w)
  want = [
    np.einsum("w,whd->hd", x, theirs[f"a/{n}/kernel"]) + theirs[f"a/{n}/bias"]
    for n in pieces.QKV
  ]
  qkv = x @ ours["qkv"]["kernel"] + ours["qkv"]["bias"]
  np.testing.assert_allclose(qkv.reshape(3, h, d), want)
  out = np.einsum("hd,hdw->w", want[2], theirs["a/out/kernel"])
  np.testing.assert_allclose(qkv[2 * w :] @ ours["proj"]["kernel"], out)
