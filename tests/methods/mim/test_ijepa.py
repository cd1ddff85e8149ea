"""What the card of JEPA states exactly of I-JEPA."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import method as methods
from jmim.methods.mim import ijepa
from jmim.methods.parts import momentum
from jmim.nn import sizes

TINY = ijepa.IJEPA.tiny()
KEY = jax.random.key(0)
IMAGE = np.random.default_rng(0).normal(size=(3, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def case():
  """(params, extra, batch, draws), the target unlike the encoder."""
  batch = {"image": IMAGE}
  params, extra = jax.jit(TINY.init)(KEY, batch)
  extra = jax.tree.map(lambda x: x + 0.1, extra)
  return params, extra, batch, TINY.drawn(KEY, batch)


def test_padding_changes_nothing(case):
  """What padded slots point at reaches neither loss nor predictions."""
  params, extra, batch, draws = case
  loss = jax.jit(
    lambda d: TINY.loss(methods.Weights(params, extra), batch, d, 0)[0]
  )
  other = dict(draws)
  for name in ("context", "targets"):
    assert not draws[f"{name}_valid"].all()
    ids = draws[name]
    other[name] = jnp.where(draws[f"{name}_valid"], ids, (ids + 5) % 16)
  np.testing.assert_allclose(loss(other), loss(draws), rtol=1e-5)
  shorter = {
    k: v[..., : int(draws["targets_valid"].sum(-1).max())]
    if k.startswith("targets")
    else v
    for k, v in draws.items()
  }
  np.testing.assert_allclose(loss(shorter), loss(draws), rtol=1e-5)


def test_the_loss_ignores_the_order_of_targets(case):
  params, extra, batch, draws = case
  loss = jax.jit(
    lambda d: TINY.loss(methods.Weights(params, extra), batch, d, 0)[0]
  )
  other = draws | {k: draws[k][:, ::-1] for k in ("targets", "targets_valid")}
  np.testing.assert_allclose(loss(other), loss(draws), rtol=1e-5)


def test_the_context_encoder_does_not_see_the_targets(case):
  params, extra, batch, draws = case
  forward = jax.jit(
    lambda b: TINY.forward(methods.Weights(params, extra), b, draws)
  )
  seen = np.zeros((3, 16), bool)
  for b in range(3):
    ids, ok = draws["context"][b, 0], draws["context_valid"][b, 0]
    seen[b, np.asarray(ids)[np.asarray(ok)]] = True
  hidden = np.kron(~seen.reshape(3, 4, 4), np.ones((4, 4)))[..., None]
  a, b = forward(batch), forward({"image": IMAGE + hidden.astype(np.float32)})
  np.testing.assert_allclose(a["pred"], b["pred"], atol=1e-5)
  assert np.abs(a["target"] - b["target"]).max() > 1e-2


def test_no_gradient_reaches_the_target(case):
  params, extra, batch, draws = case
  grads = jax.jit(
    jax.grad(
      lambda e: TINY.loss(methods.Weights(params, e), batch, draws, 0)[0]
    )
  )(extra)
  assert not any(np.any(g) for g in jax.tree.leaves(grads))


def test_a_constant_target_encoder_shows_as_collapse(case):
  params, extra, batch, draws = case
  flat = jax.tree.map(jnp.zeros_like, extra)
  loss = jax.jit(lambda w: TINY.loss(w, batch, draws, 0))
  _, aux = loss(methods.Weights(params, flat))
  assert aux["target_std"] == 0
  _, aux = loss(methods.Weights(params, extra))
  assert aux["target_std"] > 1e-2


def test_the_target_follows_with_the_momentum_of_the_step(case):
  params, extra, *_ = case
  m = dataclasses.replace(TINY, target=momentum.Momentum(steps=100))
  weights = methods.Weights(params, extra)
  for step, share in ((0, 0.996), (50, 0.998), (400, 1.0)):
    target = m.after(weights, {}, step)["target"]
    jax.tree.map(
      lambda new, t, p, share=share: np.testing.assert_allclose(
        new, share * t + (1 - share) * p, atol=1e-6
      ),
      target,
      extra["target"],
      params["main"]["encoder"],
    )


def test_features_are_those_of_the_target(case):
  params, extra, batch, _ = case
  features = jax.jit(TINY.predict()["features"])
  other = jax.tree.map(lambda x: x + 1, params)
  first = features(methods.Weights(params, extra), batch, KEY)
  np.testing.assert_array_equal(
    features(methods.Weights(other, extra), batch, KEY), first
  )
  out = TINY.encoder.apply({"params": extra["target"]}, IMAGE)
  np.testing.assert_allclose(first, out["latent"].mean(1), atol=1e-5)
  assert "cls" not in TINY.predict()


def test_the_target_starts_as_the_encoder():
  params, extra = jax.jit(TINY.init)(KEY, {"image": IMAGE})
  jax.tree.map(
    np.testing.assert_array_equal, extra["target"], params["main"]["encoder"]
  )


def test_the_predictor_may_take_its_heads_from_the_encoder():
  size = ijepa.IJEPA(dims=sizes.Dims(variant="H/14")).predictor.size
  assert (size.width, size.depth, size.heads) == (384, 12, 16)


@pytest.mark.parametrize(
  "changes, message",
  [
    (dict(target_scale=(0.2, 0.1)), "target_scale"),
    (dict(min_keep=16), "min_keep 16 of 9 tokens"),
  ],
)
def test_what_does_not_fit_is_named(changes, message):
  masks = dataclasses.replace(TINY.masks, **changes)
  with pytest.raises(ValueError, match=message):
    dataclasses.replace(TINY, masks=masks).inputs()
