"""LinFusion's adapter on options that the given case leaves out, by numpy."""

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import linfusion as tables

B, T, D, HEADS = 2, 6, 8, 2
OPTIONS = {
  "a narrow bottleneck": (3, None),
  "the width, as null": (None, None),
  "no map, and a context": (-1, 5),
  "a context of another length": (4, 9),
}


def exported(module, config):
  """Random weights under the authors' names."""
  net = module.mixer(config)
  x = golden_kit.normal(1, T, D)
  shapes = jax.eval_shape(net.init, jax.random.key(0), x)["params"]
  ours = golden_kit.weights(shapes, scale=0.5)
  return table.export_tree(tables.mixer(net.mid), ours)


def numpy_attention(w, x, context):
  """As the card has it, pair by pair."""
  c = x if context is None else context

  def features(x, name):
    if f"{name}.0.weight" not in w:
      return 2 * x
    y = x @ w[f"{name}.0.weight"].T + w[f"{name}.0.bias"]
    y = y - y.mean(-1, keepdims=True)
    y = y / np.sqrt((y**2).mean(-1, keepdims=True) + 1e-5)
    y = y * w[f"{name}.1.weight"] + w[f"{name}.1.bias"]
    y = np.where(y > 0, y, 0.01 * y)
    return x + y @ w[f"{name}.3.weight"].T + w[f"{name}.3.bias"]

  q = features(x, "to_q_") @ w["to_q.weight"].T
  k = features(c, "to_k_") @ w["to_k.weight"].T
  v = c @ w["to_v.weight"].T
  split = lambda a: a.reshape(B, -1, HEADS, D // HEADS)
  phi = lambda a: np.where(a > 0, a + 1, np.exp(np.minimum(a, 0)))
  pairs = np.einsum("bihd,bjhd->bhij", phi(split(q)), phi(split(k)))
  # Divided by the queries above, by the keys below.
  weights = pairs / x.shape[1] / (pairs.mean(-1, keepdims=True) + 1e-4)
  y = np.einsum("bhij,bjhd->bihd", weights, split(v)).reshape(x.shape)
  return y @ w["to_out.0.weight"].T + w["to_out.0.bias"]


@pytest.mark.parametrize("name", OPTIONS)
def test_the_attention_is_that_of_numpy(name):
  module, (mid, length) = golden_kit.adapter("linfusion"), OPTIONS[name]
  size = dict(dim=D, heads=HEADS, dim_head=D // HEADS)
  config = size | dict(projection_mid_dim=mid)
  inputs = {"x": golden_kit.normal(B, T, D)}
  if length:
    inputs["context"] = golden_kit.normal(B, length, D, seed=1)
  inputs["teacher_feat"] = golden_kit.normal(B, T, D, seed=2)
  for seed, key in enumerate(("noise", "noise_pred", "noise_pred_teacher"), 3):
    inputs[key] = golden_kit.normal(B, 3, 4, 4, seed=seed)
  case = golden_kit.Asked(config, inputs, exported(module, config))
  found = module.run(case)
  wanted = numpy_attention(case.params, inputs["x"], inputs.get("context"))
  np.testing.assert_allclose(found["y"], wanted, atol=1e-5)
  assert found["k"].shape == (B * HEADS, length or T, D // HEADS)
  assert (found["phi_q"] > 0).all()
  square = lambda a, b: np.mean((a - b) ** 2)
  student = inputs["noise_pred"]
  loss = square(student, inputs["noise"])
  loss += 0.5 * square(student, inputs["noise_pred_teacher"])
  loss += 0.5 * square(wanted, inputs["teacher_feat"])
  assert found["loss"] == pytest.approx(loss, rel=1e-5)
