"""The adapter of DiffMatch on options that no given case has, against numpy.

Costs in loops, the UNet of `numpyunet`, whose norms have 32 groups.
"""

import importlib.util
import pathlib

import golden_kit
import jax
import numpy as np
import pytest

from jmim.convert import table
from jmim.convert.tables import _unet

ADAPTER = golden_kit.adapter("diffmatch")


def numpy_unet():
  path = pathlib.Path(__file__).parents[1] / "convert/numpyunet.py"
  spec = importlib.util.spec_from_file_location("numpyunet", path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


NUMPY = numpy_unet()
CASES = {
  "one level, radius 1, other factors and times": dict(
    feature_channels=[5],
    radius=1,
    channel_mult=[1, 2, 1],
    attention_downsample_factors=[1, 4],
    num_heads=4,
    diffusion_steps=3,
    n_hypotheses=1,
  ),
  "three levels, radius 2, no attention but in the middle": dict(
    feature_channels=[3, 6, 4],
    radius=2,
    channel_mult=[1, 1],
    attention_downsample_factors=[],
    num_heads=1,
    diffusion_steps=7,
    n_hypotheses=2,
  ),
}
SIDE, MASK = 8, (8, 12)


def config_of(more):
  return dict(
    feature_size=SIDE,
    model_channels=32,
    num_res_blocks=1,
    noise_schedule="cosine (improved-DDPM)",
    use_scale_shift_norm=True,
    group_norm_groups=32,
    **more,
  )


def inputs_of(config):
  rng = np.random.default_rng(0)
  normal = lambda *shape: rng.normal(size=shape).astype(np.float32)
  maps = {
    f"{whose}_feat{i}": normal(2, c, SIDE, SIDE)
    for whose in ("src", "trg")
    for i, c in enumerate(config["feature_channels"])
  }
  return maps | {
    "flow": 0.2 * normal(2, 2, SIDE, SIDE),
    "mask": rng.integers(0, 2, (2, *MASK)).astype(np.float32),
    "t": np.array([config["diffusion_steps"] - 1, 0]),
    "noise": normal(2, 2, SIDE, SIDE),
    "x_T": normal(config["n_hypotheses"], 2, SIDE, SIDE),
    "sr_coords": SIDE * rng.uniform(size=(1, 2, SIDE, SIDE)).astype("f4"),
  }


def between(picture, x, y):
  """Channels at (x, y) of [c, h, w], bilinear, 0 outside."""
  left, top, total = int(np.floor(x)), int(np.floor(y)), 0.0
  for i in (top, top + 1):
    for j in (left, left + 1):
      if 0 <= i < picture.shape[1] and 0 <= j < picture.shape[2]:
        total = total + (1 - abs(y - i)) * (1 - abs(x - j)) * picture[:, i, j]
  return total


def length_one(f, axis=1):
  return f / (np.linalg.norm(f, axis=axis, keepdims=True) + 1e-5)


def offsets(radius):
  line = range(-radius, radius + 1)
  return [(x, y) for x in line for y in line]


def correlated(inputs, levels):
  return np.mean(
    [
      np.einsum(
        "bcyx,bchw->byxhw",
        length_one(inputs[f"src_feat{i}"].astype(float)),
        length_one(inputs[f"trg_feat{i}"].astype(float)),
      )
      for i in range(levels)
    ],
    axis=0,
  )


def told(config, inputs):
  """(initial flow [cells], local cost)."""
  cosines = correlated(inputs, len(config["feature_channels"]))
  steps = offsets(config["radius"])
  flow = np.zeros((2, 2, SIDE, SIDE))
  cost = np.zeros((2, len(steps), SIDE, SIDE))
  for b, i, j in np.ndindex(2, SIDE, SIDE):
    y, x = np.unravel_index(cosines[b, :, :, i, j].argmax(), (SIDE, SIDE))
    flow[b, :, i, j] = x - j, y - i
    for k, (dx, dy) in enumerate(steps):
      at = (x + dx, y + dy)
      cost[b, k, i, j] = np.squeeze(between(cosines[b, None, :, :, i, j], *at))
  return flow, cost


def finer(config, inputs):
  steps = offsets(config["radius"])
  at, source, target = (
    inputs[n].astype(float) for n in ("sr_coords", "src_feat0", "trg_feat0")
  )
  cost = np.zeros((1, len(steps), SIDE, SIDE))
  for i, j in np.ndindex(SIDE, SIDE):
    own = length_one(target[0, :, i, j], 0)
    for k, (dx, dy) in enumerate(steps):
      seen = between(source[0], at[0, 0, i, j] + dx, at[0, 1, i, j] + dy)
      seen = np.broadcast_to(seen, own.shape)
      cost[0, k, i, j] = length_one(seen, 0) @ own
  return cost


def corners(x, sides):
  for axis, n in zip((2, 3), sides, strict=True):
    place = np.linspace(0, x.shape[axis] - 1, n)
    away = np.abs(np.arange(x.shape[axis]) - place[:, None])
    matrix = np.maximum(1 - away, 0)
    x = np.moveaxis(np.moveaxis(x, axis, -1) @ matrix.T, -1, axis)
  return x


def reference(config, p, inputs):
  """Every output, in float64."""
  steps = config["diffusion_steps"]
  f = lambda u: np.cos((u + 0.008) / 1.008 * np.pi / 2) ** 2
  betas = np.array(
    [min(1 - f((i + 1) / steps) / f(i / steps), 0.999) for i in range(steps)]
  )
  power = np.cumprod(1 - betas)
  flow, cost = told(config, inputs)
  flags = dict(
    config, attention_resolutions=config["attention_downsample_factors"]
  )

  def network(x, t, rows):
    own = flow[rows] / SIDE
    x = np.concatenate([x, own, cost[rows]], axis=1)
    return own + NUMPY.unet(flags, p, x, t * 1000 / steps)[0]

  a, s = (
    np.sqrt(v[inputs["t"]])[:, None, None, None] for v in (power, 1 - power)
  )
  x_t = a * inputs["flow"] + s * inputs["noise"]
  x0 = network(x_t, inputs["t"], slice(None))
  error = (corners(x0, MASK) - corners(inputs["flow"], MASK)) ** 2
  ends = []
  for x in inputs["x_T"].astype(float)[:, None]:
    for t in reversed(range(steps)):
      made = network(x, np.array([t]), slice(1))
      eps = (x - np.sqrt(power[t]) * made) / np.sqrt(1 - power[t])
      before = power[t - 1] if t else 1.0
      x = np.sqrt(before) * made + np.sqrt(1 - before) * eps
    ends.append(x)
  return {
    "init_flow_px": flow,
    "local_corr": cost,
    "x_t": x_t,
    "x0_pred": x0,
    "loss": (error.sum(1) * inputs["mask"]).sum() / inputs["mask"].sum(),
    "flow_sample": np.clip(np.mean(ends, axis=0), -1, 1),
    "sr_local_corr": finer(config, inputs),
    "betas": betas,
    "alphas_cumprod": power,
  }


@pytest.mark.parametrize("name", CASES)
def test_options(name):
  config = config_of(CASES[name])
  inputs = inputs_of(config)
  m = ADAPTER.build(config, MASK)
  rules = _unet.network(m.matcher.net)
  shapes = jax.eval_shape(m.init, jax.random.key(0), {})[0]["main"]
  ours = golden_kit.weights(shapes, scale=0.1)
  theirs = table.export_tree(rules, ours)
  case = golden_kit.Asked(config, inputs, theirs)
  wide = {k: np.asarray(v, np.float64) for k, v in theirs.items()}
  wanted = reference(config, wide, inputs)
  case.outputs = wanted
  found = ADAPTER.run(case)
  assert set(found) == set(wanted)
  for key, value in wanted.items():
    np.testing.assert_allclose(
      found[key], value, atol=2e-4 * max(1.0, np.abs(value).max()), err_msg=key
    )


@pytest.mark.parametrize(
  "change", [{"predict": "eps"}, {"out_channels": 4}, {"in_channels": 84}]
)
def test_what_the_method_has_not_is_refused(change):
  ((name, _),) = change.items()
  config = config_of(next(iter(CASES.values())))  # of radius 1
  said = {"predict": "x0", "out_channels": 2, "in_channels": 13}
  assert ADAPTER.build(config | said, MASK).matcher.radius == 1
  with pytest.raises(ValueError, match=name):
    ADAPTER.build(config | change, MASK)
