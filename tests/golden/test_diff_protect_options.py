"""The adapter of Diff-Protect on other sizes, and on a batch of two."""

import golden_kit
import jax
import jax.numpy as jnp
import numpy as np
import pytest

C = {
  "z_channels": 3,
  "hidden": 4,
  "T": 30,
  "scale_factor": 0.4,
  "cond_dim": 2,
  "image": 8,
  "epsilon_255": 9,
  "alpha_255": 2.5,
  "steps": 4,
  "mist_rate": 300.0,
  "target_rate": 7,
}
SHAPES = {
  "a": (4,),
  "enc1.weight": (4, 3, 3, 3),
  "enc1.bias": (4,),
  "enc2.weight": (3, 4, 3, 3),
  "enc2.bias": (3,),
  "d1.weight": (4, 3, 3, 3),
  "d1.bias": (4,),
  "d2.weight": (3, 4, 3, 3),
  "d2.bias": (3,),
  "w.weight": (4, 2),
  "dec.weight": (3, 3, 4, 4),
  "dec.bias": (3,),
}
NAMES = [
  *(f"sds{z}_{s}" for z in ("", "_z") for s in ("plus", "minus")),
  *(f"sds_{s}_target" for s in ("plus", "minus")),
  *(
    f"pgd_{kind}_{s}"
    for kind in ("advdm", "texture_only", "mist")
    for s in ("plus", "minus")
  ),
]


@pytest.fixture(scope="module")
def case():
  rng = np.random.default_rng(0)
  image, target = rng.uniform(-1, 1, (2, 2, 3, 8, 12)).astype(np.float32)
  made = golden_kit.Asked(
    C,
    {
      "image": image,
      "target": target,
      "t": rng.integers(0, 30, (4, 2)).astype(np.int32),
      "noise": golden_kit.normal(4, 2, 3, 2, 3, seed=1),
      "cond": golden_kit.normal(2, 2, seed=2),
      "alphas_cumprod": np.cumprod(np.linspace(0.99, 0.9, 30)).astype("f4"),
    },
    {
      n: golden_kit.normal(*s, seed=i)
      for i, (n, s) in enumerate(SHAPES.items())
    },
  )
  made.outputs = dict.fromkeys((*NAMES, "step0_residual"))
  return made


def reference(case):
  """All of it by their equations, in their layout."""
  p, i = jax.tree.map(jnp.asarray, (case.params, case.inputs))
  conv = lambda x, name, stride=1: (
    p[f"{name}.bias"][:, None, None]
    + (
      jax.lax.conv_general_dilated(
        x, p[f"{name}.weight"], (stride, stride), ((1, 1), (1, 1))
      )
    )
  )
  hidden = lambda x: jax.nn.silu(conv(x, "enc1", 2))
  encode = lambda x: C["scale_factor"] * conv(hidden(x), "enc2", 2)

  def residual(z, k):
    t, n = i["t"][k], i["noise"][k]
    bar = i["alphas_cumprod"][t][:, None, None, None]
    told = p["a"] * jnp.sin(t / 50)[:, None] + i["cond"] @ p["w.weight"].T
    x = conv(bar**0.5 * z + (1 - bar) ** 0.5 * n, "d1")
    return conv(jnp.tanh(x + told[:, :, None, None]), "d2") - n

  def decode(z):
    w = jnp.einsum("bchw,cdij->bdhiwj", z / C["scale_factor"], p["dec.weight"])
    return w.reshape(2, 3, 8, 12) + p["dec.bias"][:, None, None]

  x0, y = i["image"], encode(i["target"])
  e, a = C["epsilon_255"] / 255 * 2, C["alpha_255"] / 255 * 2
  score = lambda x, k: (
    encode(x) * jax.lax.stop_gradient(residual(encode(x), k))
  ).sum()
  loss = lambda x, k: (residual(encode(x), k) ** 2).mean()
  distance = lambda x: ((encode(x) - y) ** 2).sum()
  near = lambda x, c: np.minimum(np.maximum(x, c - e), c + e)

  def attacked(grown, slow):
    x, slope = x0, jax.jit(jax.grad(grown))
    for k in range(4):
      step = a - (a - a / 100) / 4 * k if slow else a
      x = np.clip(near(x + step * np.sign(slope(x, k)), x0), -1, 1)
    return x

  def latent(m):
    z = z0 = np.asarray(encode(x0))
    for k in range(4):
      z = near(z + a * np.sign(m * residual(z, k)), z0)
    return decode(z)

  found = {"step0_residual": residual(encode(x0), 0)}
  for m, sign in ((1, "plus"), (-1, "minus")):
    found[f"sds_z_{sign}"] = latent(m)
    grown = {
      f"sds_{sign}": lambda x, k, m=m: m * score(x, k),
      f"sds_{sign}_target": lambda x, k, m=m: m * 7 * score(x, k) - distance(x),
      f"pgd_advdm_{sign}": lambda x, k, m=m: m * loss(x, k),
      f"pgd_texture_only_{sign}": lambda x, k: -distance(x),
      f"pgd_mist_{sign}": lambda x, k, m=m: 300 * loss(x, k) - m * distance(x),
    }
    for name, fn in grown.items():
      found[name] = attacked(fn, slow=name.startswith("pgd"))
  return found


def test_it_does_what_the_equations_say(case):
  found, wanted = golden_kit.adapter("diff_protect").run(case), reference(case)
  assert set(found) == set(case.outputs) == set(wanted)
  for name, x in wanted.items():
    apart = np.abs(found[name] - x) > 1e-4
    assert apart.mean() <= (0.01 if name in NAMES else 0), name
