"""What the card of MTO states exactly, on SimMIM."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.core import runtime
from jmim.methods.mim import mto
from jmim.methods.mim import simmim
from jmim.methods.parts import backbone
from jmim.methods.parts import singularity
from jmim.nn import block

NONE = dict.fromkeys(("lambda_spa", "lambda_e", "lambda_r"), 0.0)
OFF = singularity.Singularity(kappa0=0.0, **NONE)
KEY = jax.random.key(0)
DEEP = backbone.Backbone(
  variant="Ti/4", width=16, depths=(3,), heads=(2,), layer_scale=1.0
)
# 16 patches, of which ceil(0.6 * 16) = 10 are hidden.
CASE = mto.MTO(size=16, backbone=DEEP, square=4, mask_ratio=0.6)


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": normal(3, 16, 16, 3)}


@pytest.fixture(scope="module")
def case(batch):
  """(weights, draws) with parameters that are not small."""
  params, _ = jax.jit(CASE.init)(jax.random.key(1), batch)
  params = jax.tree.map(lambda a: a * 8 if a.ndim == 3 else a, params)
  return methods.Weights(params), CASE.drawn(KEY, batch)


def run(method, case, batch, step=0):
  weights, draws = case
  loss = lambda p: method.loss(methods.Weights(p), batch, draws, step)[0]
  return jax.jit(jax.value_and_grad(loss))(weights.params)


def hooked(method, case, batch):
  """Outputs with recalibration, and the maps of attention."""
  weights, draws = case
  hidden = draws["mask"].reshape(3, -1)
  bias_of = method.tokens.bias_of(hidden, method.masked, 3)
  names = ("attention", "normed", "block")
  run = functools.partial(method.forward, bias_of=bias_of, taps=names)
  out = jax.jit(run)(weights.params, batch, draws)
  return out["encoded"], np.asarray(hidden, bool)


def test_switched_off_it_is_simmim_bit_for_bit(case, batch):
  off = dataclasses.replace(CASE, tokens=OFF)
  host = simmim.SimMIM(size=16, backbone=DEEP, square=4, mask_ratio=0.6)
  jax.tree.map(
    np.testing.assert_array_equal, run(off, case, batch), run(host, case, batch)
  )
  program = lambda m: str(
    jax.make_jaxpr(lambda p: m.loss(methods.Weights(p), batch, case[1], 0)[0])(
      case[0].params
    )
  )
  assert program(off) == program(host)


def test_each_layer_hides_its_share_of_the_masked_from_the_visible(case, batch):
  out, hidden = hooked(CASE, case, batch)
  assert CASE.masked == 10 and (hidden.sum(1) == 10).all()
  maps = np.asarray(out["attention"])
  np.testing.assert_allclose(maps.sum(-1), 1, rtol=1e-5)
  for layer, count in enumerate((10, 5, 0)):
    for b in range(3):
      masked = np.concatenate([[False], hidden[b]])
      rows = maps[layer, b][:, ~masked]
      blocked = (rows == 0).all((0, 1))
      assert blocked.sum() == count and not (blocked & ~masked).any()
      assert (rows[..., ~blocked] > 0).all()
      assert (maps[layer, b][:, masked] > 0).all()  # their rows are whole


def ramp(token):
  """From -3 to 3 over the channels of a mask token."""
  return np.linspace(-3, 3, token.shape[-1], dtype=np.float32)


def test_the_first_layer_of_visible_tokens_is_that_without_masked_ones(
  case, batch
):
  """With kappa0 = 1: those of an encoder that is given visible tokens only."""
  out, hidden = hooked(CASE, case, batch)
  encoder = case[0].params["main"]["encoder"]
  first = jax.tree.map(lambda a: a[0], encoder["blocks"]["layers"])
  net = CASE.encoder
  bias = net.bind({"params": encoder}).rel_pos_bias()
  module = block.Block(heads=2, layer_scale=1.0, qkv_bias="qv", mlp_ratio=4.0)
  for b in range(3):
    rows = np.flatnonzero(~np.concatenate([[False], hidden[b]]))
    alone, _ = module.apply(
      {"params": first},
      out["embedded"][b : b + 1, rows],
      bias=bias[None][:, :, rows][..., rows],
    )
    np.testing.assert_allclose(
      out["block"][0][b][rows], alone[0], rtol=1e-5, atol=1e-5
    )
  # Whatever stands in the masked places, bit for bit.
  other = jax.tree.map(lambda a: a, case[0].params)
  other["main"]["encoder"] = {
    **encoder,
    # Not by a constant, which the norm would take away.
    "mask_token": encoder["mask_token"] + ramp(encoder["mask_token"]),
  }
  moved, _ = hooked(CASE, (methods.Weights(other), case[1]), batch)
  visible = np.concatenate([np.ones((3, 1), bool), ~hidden], 1)
  np.testing.assert_array_equal(
    out["block"][0][visible], moved["block"][0][visible]
  )
  assert np.abs(out["block"][1] - moved["block"][1])[visible].max() > 1e-3


def test_the_loss_is_the_hosts_and_the_terms(case, batch):
  loss, aux = jax.jit(CASE.loss)(case[0], batch, case[1], 0)
  weights = {"spa": 0.1, "entropy": 0.01, "singular": 0.1}
  total = aux["host"] + sum(w * aux[k] for k, w in weights.items())
  np.testing.assert_allclose(loss, total, rtol=1e-6)
  lean = dataclasses.replace(CASE, tokens=singularity.Singularity(**NONE))
  np.testing.assert_allclose(run(lean, case, batch)[0], aux["host"], rtol=1e-5)
  slow = dataclasses.replace(
    CASE, tokens=singularity.Singularity(warmup_steps=4)
  )
  found = [run(slow, case, batch, step)[0] for step in (0, 2, 9)]
  parts = [aux["host"] + s * (total - aux["host"]) for s in (0, 0.5, 1)]
  np.testing.assert_allclose(found, parts, rtol=1e-5)


def test_the_term_of_the_mask_token_reaches_nothing_else(case, batch):
  def term(params):
    return CASE.loss(methods.Weights(params), batch, case[1], 0)[1]["singular"]

  gradient = jax.jit(jax.grad(term))(case[0].params)["main"]
  token = gradient["encoder"].pop("mask_token")
  assert np.abs(token).max() > 0
  assert all(not np.any(g) for g in jax.tree.leaves(gradient))


def test_scanned_layers_in_bfloat16_hide_the_same_columns(case, batch):
  """-1e9 in bfloat16 logits would not be what it is."""
  rt = runtime.Runtime(scan=True, remat="full", attention="xla")
  other = dataclasses.replace(CASE, rt=rt)
  np.testing.assert_allclose(
    run(other, case, batch)[0], run(CASE, case, batch)[0], rtol=1e-5
  )
  low = dataclasses.replace(CASE, rt=runtime.Runtime(dtype=jnp.bfloat16))
  out, hidden = hooked(low, case, batch)
  masked = np.concatenate([np.zeros((3, 1), bool), hidden], 1)
  for b in range(3):
    rows = np.asarray(out["attention"])[0, b][:, ~masked[b]]
    np.testing.assert_array_equal(rows[..., masked[b]], 0)


@pytest.mark.parametrize("tokens", [OFF, singularity.Singularity()])
def test_heterogeneity_and_entropy_are_outputs(case, batch, tokens):
  method = dataclasses.replace(CASE, tokens=tokens)
  found = jax.jit(method.predict()["singularity"])(case[0], batch, KEY)
  assert len(found) == 8 and {x.shape for x in found.values()} == {(3,)}
  for name, x in found.items():
    low, high = (0, 2) if name.startswith("het") else (0, 1 + 1e-5)
    assert (x >= low).all() and (x <= high).all(), name


def test_a_swin_is_refused():
  swin = backbone.Backbone(variant="SwinB/4")
  with pytest.raises(ValueError, match="SwinB/4.*not in windows"):
    mto.MTO(size=192, backbone=swin).inputs()
