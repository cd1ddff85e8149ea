"""Options that a case of another size may have, against a block in numpy."""

import math

import golden_kit
import numpy as np
import pytest

ADAPTER = golden_kit.adapter("difffit")
GELU = np.vectorize(lambda u: 0.5 * u * (1 + math.erf(u / math.sqrt(2))))
DIM, HEADS, SIDE, CONTEXT = 6, 2, 4, 5


def params(activation, bias):
  """Their names, every number normal."""
  inner, hidden = HEADS * SIDE, 4 * DIM
  shapes = {f"gamma_{x}": (DIM,) for x in ("attn1", "attn2", "ff")}
  for n, keys in ((1, DIM), (2, CONTEXT)):
    for x, width in (("q", DIM), ("k", keys), ("v", keys)):
      shapes[f"attn{n}.to_{x}.weight"] = (inner, width)
      shapes[f"attn{n}.processor.gamma_{x}"] = (inner,)
      if bias:
        shapes[f"attn{n}.to_{x}.bias"] = (inner,)
    shapes[f"attn{n}.to_out.0.weight"] = (DIM, inner)
    shapes[f"attn{n}.to_out.0.bias"] = (DIM,)
    shapes[f"attn{n}.processor.gamma_fnn"] = (DIM,)
  for n in (1, 2, 3):
    shapes |= {f"norm{n}.weight": (DIM,), f"norm{n}.bias": (DIM,)}
  out = hidden * (2 if activation == "geglu" else 1)
  shapes |= {"ff.net.0.proj.weight": (out, DIM), "ff.net.0.proj.bias": (out,)}
  shapes |= {"ff.net.2.weight": (DIM, hidden), "ff.net.2.bias": (DIM,)}
  rng = np.random.default_rng(0)
  return {
    n: rng.normal(size=s).astype(np.float32) / 2 for n, s in shapes.items()
  }


def norm(p, name, x):
  x = x - x.mean(-1, keepdims=True)
  x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
  return x * p[f"{name}.weight"] + p[f"{name}.bias"]


def linear(p, name, x):
  return x @ p[f"{name}.weight"].T + p.get(f"{name}.bias", 0)


def attend(p, name, x, keys):
  def part(which, tokens):
    y = linear(p, f"{name}.to_{which}", tokens)
    y = y * p[f"{name}.processor.gamma_{which}"]
    return y.reshape(*y.shape[:2], HEADS, SIDE)

  q, k, v = part("q", x), part("k", keys), part("v", keys)
  logits = np.einsum("bthd,bshd->bhts", q, k) / math.sqrt(SIDE)
  share = np.exp(logits - logits.max(-1, keepdims=True))
  share = share / share.sum(-1, keepdims=True)
  y = np.einsum("bhts,bshd->bthd", share, v).reshape(*x.shape[:2], -1)
  y = linear(p, f"{name}.to_out.0", y)
  return y * p[f"{name}.processor.gamma_fnn"]


def block(p, x, context, activation):
  z = norm(p, "norm1", x)
  x = x + p["gamma_attn1"] * attend(p, "attn1", z, z)
  x = x + p["gamma_attn2"] * attend(p, "attn2", norm(p, "norm2", x), context)
  z = linear(p, "ff.net.0.proj", norm(p, "norm3", x))
  if activation == "geglu":
    value, gate = np.split(z, 2, axis=-1)
    z = value * GELU(gate)
  else:
    z = GELU(z)
  return x + p["gamma_ff"] * linear(p, "ff.net.2", z)


def case(activation, bias, drop=None):
  p = params(activation, bias)
  words = ("bias", "norm", "gamma")
  tuned = [n for n in p if any(w in n for w in words) and n != drop]
  inputs = {
    "x": golden_kit.normal(2, 3, DIM),
    "context": golden_kit.normal(2, 4, CONTEXT, seed=1),
  }
  config = {
    "dim": DIM,
    "heads": HEADS,
    "dim_head": SIDE,
    "cross_attention_dim": CONTEXT,
    "activation": activation,
    "attention_bias": bias,
  }
  asked = golden_kit.Asked(config, inputs, p)
  asked.outputs = {"grad_gamma_ff": None, "grad_gamma_v": None}
  asked.info = {
    "trainable_parameter_names": tuned,
    "trainable_count": sum(p[n].size for n in tuned),
    "total_count": sum(x.size for x in p.values()),
    "out": {
      "out/grad_gamma_v": {"meaning": "of y^2 for attn2.processor.gamma_v"}
    },
  }
  return asked


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("activation", ["gelu", "geglu"])
def test_activation_and_biases(activation, bias):
  asked = case(activation, bias)
  found = ADAPTER.run(asked)
  p, (x, context) = asked.params, asked.inputs.values()
  want = block(p, x, context, activation)
  np.testing.assert_allclose(found["y"], want, rtol=1e-4, atol=1e-4)
  ones = {n: np.ones_like(w) if "gamma" in n else w for n, w in p.items()}
  want = block(ones, x, context, activation)
  np.testing.assert_allclose(found["y_gamma_one"], want, rtol=1e-4, atol=1e-4)
  # The gradient of one number, by differences.
  name, step = "attn2.processor.gamma_v", 1e-2
  each = []
  for sign in (1, -1):
    moved = p | {name: p[name] + sign * step * np.eye(HEADS * SIDE)[3]}
    each.append((block(moved, x, context, activation) ** 2).mean())
  slope = (each[0] - each[1]) / (2 * step)
  np.testing.assert_allclose(found["grad_gamma_v"][3], slope, rtol=0.02)


def test_another_list_of_tuned_names_is_seen():
  with pytest.raises(AssertionError):
    ADAPTER.run(case("gelu", False, drop="norm2.bias"))
