"""The adapter of CycleDiffusion on options that are not in the given case.

Against the formulas of the authors' code, written out in numpy in float32.
"""

import golden_kit
import numpy as np
import pytest

F = np.float32
EVEN = "linear 1e-4 to 2e-2"
SCALED = "scaled linear: linspace(sqrt(0.00085), sqrt(0.012), T)**2"


def normal(*shape, seed, scale=1.0):
  return (scale * golden_kit.normal(*shape, seed=seed)).astype(F)


def toy(prefix, channels, width=5, seed=0, told=0):
  """Parameters of a network."""
  found = {
    "a": normal(width, seed=seed),
    "c1.weight": normal(width, channels, 3, 3, seed=seed + 1, scale=0.2),
    "c1.bias": normal(width, seed=seed + 2, scale=0.1),
    "c2.weight": normal(channels, width, 3, 3, seed=seed + 3, scale=0.2),
    "c2.bias": normal(channels, seed=seed + 4, scale=0.1),
  }
  if told:
    found["w.weight"] = normal(width, told, seed=seed + 5)
  return {f"{prefix}{name}": x for name, x in found.items()}


def conv(x, weight, bias):
  """3 x 3 with zeros around; [b, c, h, w]."""
  h, w = x.shape[2:]
  x, y = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 0
  for i in range(3):
    for j in range(3):
      part = x[:, :, i : i + h, j : j + w]
      y = y + np.einsum("bchw,oc->bohw", part, weight[:, :, i, j])
  return y + bias[:, None, None]


def eps_of(p, x, t, c=None):
  wave = np.sin(F(t) / F(50)) * p["a"]
  wave = wave + (0 if c is None else c @ p["w.weight"].T)
  wave = np.broadcast_to(wave, (len(x), len(p["a"])))[:, :, None, None]
  y = np.tanh(conv(x, p["c1.weight"], p["c1.bias"]) + wave)
  return conv(y.astype(F), p["c2.weight"], p["c2.bias"])


class Ddim:
  """Their step of pixels and of latents: a at a time, b at the next."""

  def __init__(self, eta):
    self.eta = F(eta)

  def parts(self, a, b):
    std = self.eta * np.sqrt((1 - a / b) * (1 - b) / (1 - a))
    return std, np.sqrt(1 - b - std**2)

  def mean(self, x, e, a, b, t):
    x0 = (x - e * np.sqrt(1 - a)) / np.sqrt(a)
    return np.sqrt(b) * x0 + self.parts(a, b)[1] * e

  def std(self, a, b, t):
    return self.parts(a, b)[0]

  def drawn(self, x0, x, a, b, t, n):
    e = (x - np.sqrt(a) * x0) / np.sqrt(1 - a)
    std, c = self.parts(a, b)
    return np.sqrt(b) * x0 + c * e + std * n


class Ddpm:
  """The same of DDPM, by the variance of a single step."""

  def __init__(self, beta, large):
    power = np.cumprod(1 - beta)
    small = beta * (1 - np.append(1.0, power[:-1])) / (1 - power)
    small = np.maximum(small, 1e-20)
    log = np.log(np.append(small[1], beta[1:]) if large else small)
    self.beta, self.log = beta.astype(F), log.astype(F)

  def mean(self, x, e, a, b, t):
    beta = self.beta[t]
    return 1 / np.sqrt(1 - beta) * (x - beta / np.sqrt(1 - a) * e)

  def std(self, a, b, t):
    return np.exp(F(0.5) * self.log[t]) * (t > 0)

  def drawn(self, x0, x, a, b, t, n):
    beta = self.beta[t]
    of_x0 = np.sqrt(b) * beta / (1 - a)
    of_x = np.sqrt(1 - beta) * (1 - b) / (1 - a)
    return of_x0 * x0 + of_x * x + np.sqrt(beta * (1 - b) / (1 - a)) * n


def encoded(step, model, x0, x, noise, rows):
  """Slots of a code; rows: (time, a, b), of b None where data are reached."""
  slots = [x]
  for (t, a, b), n in zip(rows, noise, strict=False):
    last = n is None
    new = x0 if last else step.drawn(x0, x, a, b, t=t, n=n)
    mean = step.mean(x, model(x, t), a, b, t=t)
    slots.append((new - mean) / step.std(a, b, t))
    x = new
  return np.stack(slots, 1)


def decoded(step, model, code, rows):
  x = code[:, 0]
  for i, (t, a, b) in enumerate(rows, 1):
    noise = code[:, i] if i < code.shape[1] else 0 * x
    x = step.mean(x, model(x, t), a, b, t=t) + step.std(a, b, t) * noise
  return x


def compare(found, wanted):
  for name, x in wanted.items():
    atol = 2e-3 if name.endswith("/z") else 1e-4
    np.testing.assert_allclose(found[name], x, atol=atol, err_msg=name)


@pytest.mark.parametrize(
  "config",
  [
    {"mode": "ddpm", "logvar": "log of posterior variance (fixedsmall)"},
    {"mode": "ddpm", "logvar": "fixedlarge", "es_steps": 30},
    {"mode": "ddpm", "logvar": "fixedsmall", "custom_steps": 15},
    {"mode": "ddim", "eta": 1.0, "es_steps": 12},
    {"mode": "ddim", "eta": 0.4, "custom_steps": 15, "es_steps": None},
    {"mode": "ddim", "eta": 0.2, "custom_steps": 13, "es_steps": 9},
  ],
)
def test_pixels(config):
  base = {"T": 30, "custom_steps": 30, "es_steps": 10, "eta": None}
  base["width"] = 5  # what is said of the toy changes nothing
  c = base | {"betas": EVEN, "logvar": "fixedsmall"} | config
  times, steps = c["T"], c["custom_steps"]
  stop = c["es_steps"] or steps
  params = toy("src.", 2) | toy("tgt.", 2, seed=10)
  inputs = {
    "image01": (normal(3, 2, 4, 4, seed=20) + 1) / 2,
    "noise": normal(stop, 3, 2, 4, 4, seed=21),
  }
  case = golden_kit.Asked(
    {"any": c},
    {f"any/{k}": x for k, x in inputs.items()},
    {f"any/{k}": x for k, x in params.items()},
  )
  found = golden_kit.adapter("cycle_diffusion").run(case)

  beta = np.linspace(1e-4, 2e-2, times)
  power = np.cumprod(1 - beta.astype(F), dtype=np.float64).astype(F)
  seq = np.linspace(0, 1, steps) * (times - 1)
  if times % steps == 0:
    seq = range(0, times, times // steps)
  seq = [int(s) for s in seq][:stop]
  to = [F(1), *(power[t] for t in seq[:-1])]
  rows = [(t, power[t], b) for t, b in zip(seq, to, strict=True)][::-1]
  step = Ddim(c["eta"]) if c["mode"] == "ddim" else None
  step = step or Ddpm(beta, large="fixedlarge" in c["logvar"])
  nets = [golden_kit.below(params, name) for name in ("src.", "tgt.")]
  models = [lambda x, t, p=p: eps_of(p, x, t) for p in nets]
  x0, first = 2 * inputs["image01"] - 1, power[stop - 1]
  x = np.sqrt(first) * x0 + np.sqrt(1 - first) * inputs["noise"][0]
  code = encoded(step, models[0], x0, x, noise=inputs["noise"][1:], rows=rows)
  wanted = {
    "any/z": code,
    "any/reconstruction": decoded(step, models[0], code, rows),
    "any/translated": decoded(step, models[1], code, rows),
  }
  compare(found, wanted)
  assert code.shape[1] == stop


@pytest.mark.parametrize(
  "config",
  [
    {"encoder_scale": 2.0, "decoder_scale": 0.0, "eta": 0.7},
    {"skip_steps": 0, "white_box_steps": 6, "eta": 1.0},
    {"ddim_steps": 7, "timesteps_found": 7, "white_box_steps": 8},
  ],
)
def test_latents(config):
  base = {"T": 30, "ddim_steps": 6, "timesteps_found": 6, "skip_steps": 2}
  scales = {"encoder_scale": 1.0, "decoder_scale": 3.0, "white_box_steps": 7}
  c = base | scales | {"betas": SCALED, "eta": 0.1} | config
  count, skip, kept = (
    c[k] for k in ("timesteps_found", "skip_steps", "white_box_steps")
  )
  n = min(kept, count) - skip
  params = toy("", 2, told=3)
  inputs = {
    "x0": normal(3, 2, 4, 4, seed=30),
    "noise": normal(n, 3, 2, 4, 4, seed=31),
  } | {
    f"cond_{name}": normal(3, 3, seed=32 + i)
    for i, name in enumerate(("src", "tgt", "null"))
  }
  case = golden_kit.Asked(
    {"ldm": c},
    {f"ldm/{k}": x for k, x in inputs.items()},
    {f"ldm/{k}": x for k, x in params.items()},
  )
  found = golden_kit.adapter("cycle_diffusion").run(case)

  beta = np.linspace(0.00085**0.5, 0.012**0.5, c["T"]) ** 2
  power = np.cumprod(1 - beta)
  times = np.arange(0, c["T"], c["T"] // c["ddim_steps"])[:count] + 1
  before = np.append(power[0], power[times[:-1]])
  rows = [(t, F(power[t]), F(b)) for t, b in zip(times, before, strict=True)][
    ::-1
  ][skip:]

  def guided(name, scale):
    said, nothing = inputs[f"cond_{name}"], inputs["cond_null"]

    def call(x, t):
      null, cond = (eps_of(params, x, t, c) for c in (nothing, said))
      return null + F(scale) * (cond - null)

    return call

  x0, (_, a, _) = inputs["x0"], rows[0]
  x = np.sqrt(a) * x0 + np.sqrt(1 - a) * inputs["noise"][0]
  noise = [*inputs["noise"][1:], None][: kept - skip - 1]
  source = guided("src", c["encoder_scale"])
  step = Ddim(c["eta"])
  code = encoded(step, source, x0, x, noise=noise, rows=rows)
  target = guided("tgt", c["decoder_scale"])
  wanted = {
    "ldm/z": code,
    "ldm/reconstruction": decoded(step, source, code, rows),
    "ldm/translated": decoded(step, target, code, rows),
    "ldm/ddim_alphas": power[times],
    "ldm/ddim_alphas_prev": before,
  }
  compare(found, wanted)
  np.testing.assert_array_equal(found["ldm/ddim_timesteps"], times)
  assert code.shape[1] == kept - skip
  if kept > count:
    np.testing.assert_allclose(wanted["ldm/reconstruction"], x0, atol=1e-4)
