"""The residual block and what it is told."""

import jax
import numpy as np
import pytest

from jmim.nn import unet_blocks

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)
EMB = RNG.normal(size=(2, 6)).astype(np.float32)
CODE = RNG.normal(size=(2, 5)).astype(np.float32)
MAPS = [RNG.normal(size=(2, n, n, 3)).astype(np.float32) for n in (8, 4)]
NET = unet_blocks.ResBlock(width=8, groups=2)
Told = unet_blocks.Modulation


def see(net, params, *told):
  return net.apply({"params": params}, X, told)


@pytest.mark.parametrize("form", ["added", "scale_shift"])
def test_a_code_is_a_second_scale_and_shift(fill, form):
  """A code whose map is 0 changes nothing; its shift comes after the time's."""
  time, code = Told("time", EMB, form), Told("code", CODE)
  params = fill(NET, X, [time, code])["params"]
  zero = params | {"code": jax.tree.map(np.zeros_like, params["code"])}
  plain = {k: v for k, v in params.items() if k != "code"}
  before = see(NET, plain, time)
  np.testing.assert_array_equal(see(NET, zero, time, code), before)
  assert np.abs(see(NET, params, time, code) - before).max() > 1e-2
  # A code of scale -1 forgets the image and the time: its shift is left.
  bias = np.concatenate([-np.ones(8), np.ones(8)]).astype(np.float32)
  zero["code"] = zero["code"] | {"bias": bias}
  inner = see(NET, zero, time, code) - X
  np.testing.assert_allclose(inner[0], inner[1], atol=1e-5)


def test_a_scale_alone_is_one_whose_shift_is_nothing(fill):
  time, both = Told("time", EMB, "added"), Told("code", CODE)
  params = fill(NET, X, [time, both])["params"]
  half = lambda leaf: leaf[..., :8]
  no_shift = lambda leaf: np.concatenate([half(leaf), 0 * half(leaf)], -1)
  told = lambda change: params | {"code": jax.tree.map(change, params["code"])}
  np.testing.assert_allclose(
    see(NET, told(half), time, Told("code", CODE, "scale")),
    see(NET, told(no_shift), time, both),
    atol=1e-5,
  )


@pytest.mark.parametrize("resample, side", [("", 4), ("twice", 8)])
def test_of_maps_each_block_reads_that_of_its_side(fill, resample, side):
  net = NET.clone(resample=resample)
  params = fill(net, X, [Told("place", MAPS)])["params"]
  (own,) = [m for m in MAPS if m.shape[1] == side]
  found = see(net, params, Told("place", MAPS))
  np.testing.assert_array_equal(see(net, params, Told("place", [own])), found)
  other = own.copy()
  other[:, 0, 0] += 3.0
  moved = np.abs(see(net, params, Told("place", [other])) - found).max((0, -1))
  # Two convolutions of 3 x 3 reach two places further.
  assert moved[0, 0] > 1e-3 and not moved[3:].any() and not moved[:, 3:].any()
  with pytest.raises(ValueError, match=r"'place' of .*none of"):
    see(net, params, Told("place", [m for m in MAPS if m.shape[1] != side]))


@pytest.mark.parametrize("value", [CODE, MAPS])
def test_what_starts_at_zero_changes_nothing_at_first(fill, value):
  told = [Told("new", value, zero=True)]
  fresh = NET.init(jax.random.key(0), X, told)["params"]
  params = fill(NET, X, [])["params"]
  both = see(NET, params | {"new": fresh["new"]}, *told)
  np.testing.assert_array_equal(both, see(NET, params))


def test_a_form_that_is_not_known_is_refused():
  with pytest.raises(ValueError, match="'times'.*scale_shift"):
    NET.init(jax.random.key(0), X, [Told("code", CODE, "times")])


def test_a_single_convolution_is_told_nothing(fill):
  net = NET.clone(single=True)
  params = fill(net, X, [])["params"]
  assert set(params) == {"norm1", "conv1"}
  # What is added is linear in the convolution, and nothing follows it.
  twice = params | {"conv1": jax.tree.map(lambda x: 2 * x, params["conv1"])}
  inner = see(net, params) - X
  assert np.abs(inner).max() > 0.1
  np.testing.assert_allclose(see(net, twice) - X, 2 * inner, atol=1e-5)
  with pytest.raises(ValueError, match="told"):
    see(net, params, Told("time", EMB))
