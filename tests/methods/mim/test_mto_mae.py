"""What the card of MTO states exactly, in the decoder of MAE."""

import dataclasses

import jax
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.mim import mae
from jmim.methods.mim import mto_mae
from jmim.methods.parts import singularity

NONE = dict.fromkeys(("lambda_spa", "lambda_e", "lambda_r"), 0.0)
OFF = singularity.Singularity(recalibrate=False, **NONE)
KEY, TINY = jax.random.key(0), mto_mae.MTOMAE.tiny()


@pytest.fixture(scope="module")
def batch(normal):
  return {"image": normal(3, 16, 16, 3)}


@pytest.fixture(scope="module")
def case(batch):
  params, _ = jax.jit(TINY.init)(jax.random.key(1), batch)
  return methods.Weights(params), TINY.drawn(KEY, batch)


def run(method, case, batch):
  weights, draws = case
  loss = lambda p: method.loss(methods.Weights(p), batch, draws, 0)[0]
  return jax.jit(jax.value_and_grad(loss))(weights.params)


def test_switched_off_it_is_mae_bit_for_bit(case, batch):
  off = dataclasses.replace(TINY, tokens=OFF)
  host = mae.MAE(size=16, dims=TINY.dims, decoder_dims=TINY.decoder_dims)
  jax.tree.map(
    np.testing.assert_array_equal, run(off, case, batch), run(host, case, batch)
  )


def test_visible_tokens_do_not_read_mask_tokens_in_the_first_block(case, batch):
  """What they predict after one block is as if there were none."""
  weights, draws = case
  out = TINY.forward(weights.params, batch, draws)
  decoder = weights.params["main"]["decoder"]
  token = decoder["mask_token"]
  # Not by a constant, which the norm would take away.
  ramp = np.linspace(-3, 3, token.shape[-1], dtype=np.float32)
  moved = {**decoder, "mask_token": token + ramp}
  found = TINY.opened(moved, out["latent"], out["mask"])
  visible = np.asarray(out["mask"].mask) == 0
  # What the second block reads, of layers 0, 1 and the output.
  same, other = (np.asarray(x["layers"])[1][visible] for x in (out, found))
  np.testing.assert_array_equal(same, other)
  plain = dataclasses.replace(TINY, tokens=OFF)
  a, b = (
    np.asarray(plain.opened(p, out["latent"], out["mask"])["layers"])[1]
    for p in (decoder, moved)
  )
  assert np.abs(a - b)[visible].max() > 1e-4


def test_the_loss_is_the_hosts_and_the_terms(case, batch):
  loss, aux = TINY.loss(case[0], batch, case[1], 0)
  weights = {"spa": 0.1, "entropy": 0.01, "singular": 0.1}
  total = aux["host"] + sum(w * aux[k] for k, w in weights.items())
  np.testing.assert_allclose(loss, total, rtol=1e-6)
  out = TINY.forward(case[0].params, batch, case[1])
  wanted = TINY.reconstruction_loss(out, batch)
  np.testing.assert_allclose(aux["host"], wanted, rtol=1e-6)


def test_the_term_of_the_mask_token_reaches_nothing_else(case, batch):
  def term(params):
    return TINY.loss(methods.Weights(params), batch, case[1], 0)[1]["singular"]

  gradient = jax.jit(jax.grad(term))(case[0].params)["main"]
  token = gradient["decoder"].pop("mask_token")
  assert np.abs(token).max() > 0
  assert all(not np.any(g) for g in jax.tree.leaves(gradient))


@pytest.mark.parametrize("tokens", [OFF, singularity.Singularity()])
def test_heterogeneity_and_entropy_are_outputs(case, batch, tokens):
  method = dataclasses.replace(TINY, tokens=tokens)
  found = jax.jit(method.predict()["singularity"])(case[0], batch, KEY)
  assert len(found) == 6 and {x.shape for x in found.values()} == {(3,)}
  out = method.forward(case[0].params, batch, method.drawn(KEY, batch))
  layers = method.opened(
    case[0].params["main"]["decoder"], out["latent"], out["mask"]
  )["layers"]
  wanted = tokens.measure(layers, out["mask"].mask)["heterogeneity"]
  np.testing.assert_allclose(found["heterogeneity_01"], wanted[1], rtol=1e-5)
