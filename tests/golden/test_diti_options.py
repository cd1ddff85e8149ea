"""The adapter of DiTi on options that the given case leaves out."""

import golden_kit
import jax
import numpy as np
import numpyunet
import pytest

from jmim.convert import table

PLAIN = {
  "base": 32,
  "mult": [1, 2],
  "nrb": 1,
  "attn": [2],
  "heads": 2,
  "group_norm_groups": 32,
  "image": 4,
  "batch": 2,
  "latent_dim": 12,
  "k": 4,
  "T": 20,
  "stages": None,
  "dims_per_stage": None,
  "betas": "linear 1e-3..2e-1",
  "steps": 3,
}
BARE = "a wide stem, two blocks a level, no attention but in the middle"
OPTIONS = {
  "stages of unequal widths": {
    "stages": "5,9,20",  # as the authors write them
    "dims_per_stage": "1,4,7",
    "heads": 4,
    "attn": [1],
  },
  BARE: {
    "mult": [2, 1],
    "nrb": 2,
    "attn": [],
    "heads": 1,
  },
  "one block": {"k": 1, "mult": [1, 1, 2], "attn": [2, 4], "heads": 4},
}
ENDS = {
  "stages of unequal widths": [1, 5, 8, 12],  # blocks begin at 0, 5, 10, 15
  BARE: [3, 6, 9, 12],
  "one block": [12],
}


def theirs(config):
  """A config in the words of the numpy UNet."""
  return {
    "model_channels": config["base"],
    "channel_mult": config["mult"],
    "num_res_blocks": config["nrb"],
    "attention_resolutions": config["attn"],
    "num_heads": config["heads"],
    "resblock_updown": True,
  }


def walk(nets, x, z, *, path, masks):
  """The authors' samplers: (time, abar there, abar of the level led to)."""
  for t, now, then in path:
    eps, g = nets(x, np.full(len(x), t), z * masks[t])
    eps = eps - np.sqrt(1 - now) * g
    x0 = np.clip((x - np.sqrt(1 - now) * eps) / np.sqrt(now), -1, 1)
    eps = (x - np.sqrt(now) * x0) / np.sqrt(1 - now)
    x = np.sqrt(then) * x0 + np.sqrt(1 - then) * eps
  return x


def paths(power, steps):
  """Of each sampler."""
  times = range(0, len(power), len(power) // steps)
  down = [power[t] for t in times]
  spaced = np.linspace(0, len(power) - 1, steps + 1).astype(int)[::-1]
  pairs = zip(spaced[:-1], spaced[1:], strict=True)
  return {
    "masked_guided_sample": [*zip(times, down, [1, *down[:-1]], strict=True)][
      ::-1
    ],
    "masked_guided_encode": [*zip(times, down, [*down[1:], 0], strict=True)],
    "ddim_shift_sample": [(t, power[t], power[to]) for t, to in pairs],
  }


def by_hand(config, p, inputs, ends):
  """The outputs of a case, from the network in numpy and the card."""

  def nets(x, t, code):
    each = ({}, {"code": code})
    return [numpyunet.unet(theirs(config), p, x, t, **c)[0] for c in each]

  times, t, z = config["T"], inputs["t"], inputs["z"]
  beta = np.linspace(1e-3, 2e-1, times)
  power = np.cumprod(1 - beta)
  block = [int(i / (times / config["k"])) for i in range(times)]
  masks = (np.arange(len(z[0])) < np.asarray(ends)[block][:, None]).astype(int)
  a, s = (np.sqrt(v[t])[:, None, None, None] for v in (power, 1 - power))
  found = {"x_t": a * inputs["x0"] + s * inputs["noise"]}
  found["eps"], found["shift"] = nets(found["x_t"], t, z * masks[t])
  before = np.append(1, power)[t]
  c = -np.sqrt(1 - beta[t]) * (1 - before) / np.sqrt(1 - power[t])
  snr = power[t] / (1 - power[t])
  w, c = (v[:, None, None, None] for v in (snr**0.1 / (1 + snr), c))
  error = inputs["noise"] - found["eps"] - c * found["shift"]
  found["loss_map_base"] = w * error**2
  found["loss_base"] = found["loss_stop_grad"] = (w * error**2).mean()
  found["loss_dual"] = 2 * found["loss_base"]
  for name, path in paths(power, config["steps"]).items():
    start = inputs["x0" if name.endswith("encode") else "x_T"]
    seen = masks if name.startswith("masked") else np.ones_like(masks)
    found[name] = walk(nets, start, z, path=path, masks=seen)
  return found


@pytest.mark.parametrize(
  "name",
  [  # some twenty seconds each
    "stages of unequal widths",
    pytest.param(BARE, marks=pytest.mark.slow),
    pytest.param("one block", marks=pytest.mark.slow),
  ],
)
def test_options_equal_the_networks_in_numpy_and_samplers_by_hand(name):
  module, config = golden_kit.adapter("diti"), {**PLAIN, **OPTIONS[name]}
  m = module.build(config)
  shapes = {
    "host": jax.eval_shape(m.nets.init_host, jax.random.key(0)),
    "branch": jax.eval_shape(m.nets.init, jax.random.key(0))["branch"],
  }
  params = table.export_tree(module.rules(m), golden_kit.weights(shapes))
  inputs = {
    n: golden_kit.normal(2, 3, 4, 4, seed=i)
    for i, n in enumerate(("x0", "noise", "x_T"))
  }
  inputs |= {"z": golden_kit.normal(2, 12), "t": np.array([1, 12])}
  found = module.run(golden_kit.Asked(config, inputs, params))
  wide = {k: v.astype(np.float64) for k, v in params.items()}
  np.testing.assert_array_equal(found["mask_end"], ENDS[name])
  for key, want in by_hand(config, wide, inputs, ENDS[name]).items():
    np.testing.assert_allclose(
      found[key], want, atol=5e-4 * np.abs(want).max(), err_msg=key
    )
  end = found["mask_end"][found["t_to_idx"][[1, 12]]]
  inside = np.arange(12) < end[:, None]
  assert (np.asarray(found["grad_z_base"])[~inside] == 0).all()
  assert np.abs(found["shift"]).max() > 0
