"""The adapter of h-space on sizes and options that the given case has not.

Against the formulas of the authors' code, written out in numpy.
"""

import golden_kit
import numpy as np
import pytest

WIDTH, CHANNELS, SIDE = 4, 2, 6


def normal(*shape, seed, scale=1.0):
  return scale * golden_kit.normal(*shape, seed=seed)


def toy():
  """Parameters of the network."""
  inner = (WIDTH, WIDTH, 3, 3)
  shapes = {
    "inp": (WIDTH, CHANNELS, 3, 3),
    "mid": inner,
    "up": (WIDTH, WIDTH, 2, 2),
    "skip": (WIDTH, CHANNELS, 3, 3),
    "out": (CHANNELS, WIDTH, 3, 3),
  }
  found = {"a": normal(WIDTH, seed=9)}
  for i, (name, shape) in enumerate(shapes.items()):
    found[f"{name}.weight"] = normal(*shape, seed=i, scale=0.3)
    width = shape[1] if name == "up" else shape[0]
    found[f"{name}.bias"] = normal(width, seed=10 + i, scale=0.1)
  return found


def conv(p, name, x, stride=1):
  """3 x 3 with zeros around; [b, c, h, w]."""
  h, w = x.shape[2:]
  x, y = np.pad(x, ((0, 0), (0, 0), (1, 1), (1, 1))), 0
  for i in range(3):
    for j in range(3):
      part = x[:, :, i : i + h : stride, j : j + w : stride]
      weight = p[f"{name}.weight"][:, :, i, j]
      y = y + np.einsum("bchw,oc->bohw", part, weight)
  return y + p[f"{name}.bias"][:, None, None]


def doubled(p, x):
  """The transposed convolution: each place becomes 2 x 2."""
  b, _, h, w = x.shape
  y = np.einsum("bchw,coij->bohiwj", x, p["up.weight"])
  return y.reshape(b, -1, 2 * h, 2 * w) + p["up.bias"][:, None, None]


def h_of(p, x, t):
  time = (p["a"] * np.sin(t / 50.0))[:, None, None]
  return conv(p, "mid", np.tanh(conv(p, "inp", x, 2) + time))


def eps_of(p, x, h):
  return conv(p, "out", np.tanh(doubled(p, h) + conv(p, "skip", x)))


class Sampler:
  """Their reverse and forward processes."""

  def __init__(self, p, c):
    times, steps = c["T"], c["inference_steps"]
    self.p, self.t, self.by = p, times, times // steps
    beta = np.linspace(1e-4, 0.02, times)
    if "scaled" in c["betas"]:
      beta = np.linspace(0.001**0.5, 0.03**0.5, times) ** 2
    self.alpha, self.final = np.cumprod(1 - beta), c["final_alpha_cumprod"]
    self.times = np.arange(steps)[::-1] * self.by

  def reverse(self, x, delta=None, etas=None, noise=None, asyrp=False):
    seen = []
    for i, t in enumerate(self.times):
      before = t - self.by
      a, b = self.alpha[t], self.alpha[before] if before >= 0 else self.final
      h = h_of(self.p, x, t)
      seen.append(h)
      plain = eps_of(self.p, x, h)
      e = plain if delta is None else eps_of(self.p, x, h + delta[i])
      std = 0 if etas is None else etas[i]
      std = std * np.sqrt((1 - b) / (1 - a) * (1 - a / b))
      x0 = (x - np.sqrt(1 - a) * e) / np.sqrt(a)
      x = np.sqrt(b) * x0 + np.sqrt(1 - b - std**2) * (plain if asyrp else e)
      x = x + (0 if noise is None else std * noise[i])
    return x, np.stack(seen, 1)

  def forward(self, x):
    for t in self.times[::-1]:
      a, b = self.alpha[t], self.alpha[min(self.t - 2, t + self.by)]
      e = eps_of(self.p, x, h_of(self.p, x, t))
      x0 = (x - np.sqrt(1 - a) * e) / np.sqrt(a)
      x = np.sqrt(b) * x0 + np.sqrt(1 - b) * e
    return x

  def jacobian(self, x, t, step=1e-4):
    """[outputs, inputs], by differences."""
    h = h_of(self.p, x, t)
    columns = [
      (eps_of(self.p, x, h + d) - eps_of(self.p, x, h - d)).ravel() / 2 / step
      for d in step * np.eye(h.size).reshape(-1, *h.shape)
    ]
    return np.stack(columns, 1)


def signed(u):
  """Of flat directions: their greatest entry is positive."""
  at = np.abs(u).argmax(-1)[..., None]
  return u * np.sign(np.take_along_axis(u, at, -1))


def components(x, k):
  """(deviations [k], directions [k, d]) of rows."""
  _, s, v = np.linalg.svd(x - x.mean(0), full_matrices=False)
  return s[:k] / np.sqrt(len(x) - 1), signed(v[:k])


@pytest.mark.parametrize(
  "options",
  [
    {"T": 50, "inference_steps": 7, "k": 2, "eta": 1.0, "n_pca_samples": 5},
    {
      "T": 30,
      "inference_steps": 5,
      "k": 1,
      "eta": [0.0, 1.0, 0.5, 0.0, 0.2],
      "n_pca_samples": 9,
    },
    {
      "T": 40,
      "inference_steps": 8,
      "k": 1,
      "eta": 0.6,
      "n_pca_samples": 4,
      "betas": "scaled linear 0.001..0.03",
      "final_alpha_cumprod": 0.9995,
    },
  ],
)
def test_options(options):
  c = {"channels": CHANNELS, "width": WIDTH, "image": SIDE}
  c |= {"betas": "linear 1e-4..0.02", "final_alpha_cumprod": 1.0} | options
  steps, k = c["inference_steps"], c["k"]
  h, x = (WIDTH, SIDE // 2, SIDE // 2), (CHANNELS, SIDE, SIDE)
  inputs = {
    "x_T": normal(1, *x, seed=20),
    "variance_noise": normal(steps, *x, seed=21),
    "delta_h": normal(steps, *h, seed=22),
    "x_jac": normal(1, *x, seed=23),
    "x_T_pca": normal(c["n_pca_samples"], *x, seed=24),
  }
  case = golden_kit.Asked(c, inputs, toy())
  at = c["T"] // steps * (steps // 2)
  case.outputs = {"jac_t": np.int32(at)}
  found = golden_kit.adapter("h_space").run(case)

  p = {name: w.astype(np.float64) for name, w in toy().items()}
  walk = Sampler(p, c)
  start, delta = inputs["x_T"], inputs["delta_h"]
  noisy = {"noise": inputs["variance_noise"]}
  noisy["etas"] = np.broadcast_to(c["eta"], steps)
  plain, seen = walk.reverse(start)
  _, left, right = np.linalg.svd(walk.jacobian(inputs["x_jac"], at))
  wanted = {
    "timesteps": walk.times,
    "x0_plain": plain,
    "h_plain": seen[0],
    "x0_edit": walk.reverse(start, delta)[0],
    "x0_edit_asyrp": walk.reverse(start, delta, asyrp=True)[0],
    "x0_eta": walk.reverse(start, **noisy)[0],
    "x0_eta_edit": walk.reverse(start, delta, **noisy)[0],
    "ddim_inverted_xT": walk.forward(plain),
    "jac_t": at,
    "jac_singular_values": left[:k],
    "jac_right_vectors": signed(right[:k]).reshape(k, *h),
    "jac_power_values": left[:k],
  }
  paths = walk.reverse(inputs["x_T_pca"])[1]
  std, u = components(paths.reshape(len(paths), -1), k)
  each = [
    components(x.reshape(len(x), -1), k) for x in np.moveaxis(paths, 1, 0)
  ]
  wanted |= {
    "pca_all_std": std,
    "pca_all_dirs": u.reshape(k, steps, *h),
    "pca_step_std": np.stack([s for s, _ in each], 1),
    "pca_step_dirs": np.stack([u for _, u in each], 1).reshape(k, steps, *h),
  }
  for name, x in wanted.items():
    atol = 2e-3 if "dirs" in name or "vectors" in name else 2e-4
    np.testing.assert_allclose(found[name], x, atol=atol, err_msg=name)
  assert set(found) == set(wanted)
