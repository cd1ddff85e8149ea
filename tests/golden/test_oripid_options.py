"""The adapter of OriPID with other sizes and settings, against plain numpy."""

import golden_kit
import numpy as np
import pytest

from jmim.convert.tables import oripid as tables

ADAM = "betas {}/{}, eps {}, no decay"
# (in_dim, features, classes, batch, scale, margin, betas and eps)
CASES = (
  (64, 5, 4, 3, 64, 0.35, (0.9, 0.999, 1e-8)),  # 4 channels of 4 x 4
  (30, 3, 9, 7, 12.5, 0.0, (0.8, 0.95, 1e-6)),  # no image at all
)


def case_of(in_dim, features, classes, batch, scale, margin, adam):
  shape = golden_kit.normal
  rng = np.random.default_rng(5)
  epochs = golden_kit.Asked(
    dict(
      in_dim=in_dim,
      features=features,
      classes=classes,
      batch=batch,
      scale=scale,
      margin=margin,
      adam_lr=2e-3,
      adam=ADAM.format(*adam),
    ),
    {
      "x": shape(2, batch, in_dim),
      "y": rng.integers(classes, size=(2, batch)).astype(np.int32),
      "query": shape(4, in_dim, seed=1),
      "reference": shape(6, in_dim, seed=2),
    },
    {
      tables.W: 0.2 * shape(features, in_dim, seed=3),
      tables.PROTOTYPES: shape(classes, features, seed=4),
    },
  )
  epochs.outputs = {"lr_factor_per_epoch": np.zeros(11)}
  return epochs


def gradients(w, v, x, y, scale, margin):
  """(loss, of W, of the prototypes), by the chain rule."""
  f = x @ w.T
  fl, vl = (np.linalg.norm(a, axis=1) for a in (f, v))
  cos = f @ v.T / np.outer(fl, vl)
  own = np.eye(len(v))[y]
  logits = scale * (cos - margin * own)
  p = np.exp(logits - logits.max(1, keepdims=True))
  p /= p.sum(1, keepdims=True)
  loss = -np.log((p * own).sum(1)).mean()
  d = scale * (p - own) / len(y)  # of the cosines
  unit_f, unit_v = f / fl[:, None], v / vl[:, None]
  df = (d @ unit_v - (d * cos).sum(1, keepdims=True) * unit_f) / fl[:, None]
  dv = d.T @ unit_f - (d * cos).sum(0)[:, None] * unit_v
  return loss, df.T @ x, dv / vl[:, None]


@pytest.mark.parametrize("numbers", CASES)
def test_any_size_scale_margin_and_adam(numbers):
  case, adapter = case_of(*numbers), golden_kit.adapter("oripid")
  found = adapter.run(case)
  _, _, _, _, scale, margin, (b1, b2, eps) = numbers
  leaves = [np.float64(case.params[n]) for n in (tables.W, tables.PROTOTYPES)]
  moments = [(0.0, 0.0), (0.0, 0.0)]
  f = case.inputs["x"][0] @ leaves[0].T
  np.testing.assert_allclose(found["features"], f, atol=1e-4)
  for step, (x, y) in enumerate(
    zip(case.inputs["x"], case.inputs["y"], strict=True), 1
  ):
    loss, *grads = gradients(*leaves, x, y, scale, margin)
    assert found["losses"][step - 1] == pytest.approx(loss, rel=1e-3)
    if step == 1:
      np.testing.assert_allclose(found["grad_fc1"], grads[0], atol=1e-3)
    for i, g in enumerate(grads):
      m, s = moments[i]
      m, s = b1 * m + (1 - b1) * g, b2 * s + (1 - b2) * g**2
      moments[i] = m, s
      hat = m / (1 - b1**step), s / (1 - b2**step)
      leaves[i] = leaves[i] - 2e-3 * hat[0] / (np.sqrt(hat[1]) + eps)
  np.testing.assert_allclose(found["fc1_after"], leaves[0], atol=1e-4)
  unit = [
    a / np.linalg.norm(a, axis=1, keepdims=True)
    for a in (case.inputs[n] @ leaves[0].T for n in ("query", "reference"))
  ]
  np.testing.assert_allclose(
    found["similarity"], unit[0] @ unit[1].T, atol=1e-3
  )
  rates = [0.01 + 0.198 * e for e in range(5)] + [1.0] * 6
  np.testing.assert_allclose(found["lr_factor_per_epoch"], rates, rtol=1e-5)
