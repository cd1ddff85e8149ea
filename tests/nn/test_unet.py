"""The residual block and what both networks are made of."""

import jax
import numpy as np
import pytest

from jmim.nn import unet

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 4, 8)).astype(np.float32)
EMB = RNG.normal(size=(2, 6)).astype(np.float32)
CODE = RNG.normal(size=(2, 5)).astype(np.float32)


@pytest.mark.parametrize("scale_shift", [False, True])
def test_a_code_is_a_second_scale_and_shift(fill, scale_shift):
  """A code whose map is 0 changes nothing; its shift comes after the time's."""
  net = unet.ResBlock(width=8, groups=2, scale_shift=scale_shift)
  params = fill(net, X, EMB, CODE)["params"]
  see = lambda params, *code: net.apply({"params": params}, X, EMB, *code)
  zero = params | {"code": jax.tree.map(np.zeros_like, params["code"])}
  plain = {k: v for k, v in params.items() if k != "code"}
  np.testing.assert_array_equal(see(zero, CODE), see(plain))
  assert np.abs(see(params, CODE) - see(plain)).max() > 1e-2
  # A code of scale -1 forgets the image and the time: its shift is left.
  bias = np.concatenate([-np.ones(8), np.ones(8)]).astype(np.float32)
  zero["code"] = zero["code"] | {"bias": bias}
  inner = see(zero, CODE) - X
  np.testing.assert_allclose(inner[0], inner[1], atol=1e-5)


def test_blocks_are_a_number_or_one_for_each_level():
  assert unet.Layers(blocks=3).blocks_at == (3, 3, 3, 3)
  assert unet.Layers(blocks=(1, 2), multipliers=(1, 2)).blocks_at == (1, 2)


def test_attention_follows_every_block_or_the_first():
  net = unet.Layers(attend_at=(2,))
  assert not net.attends(0, 0)
  assert net.attends(1, 0) and net.attends(1, 1)
  first = net.clone(attend_first=True)
  assert first.attends(1, 0) and not first.attends(1, 1)


def test_the_stem_is_of_the_width_or_of_the_finest_level():
  net = unet.Layers(width=8, multipliers=(3, 2))
  assert net.stem == 8 and net.clone(wide_stem=True).stem == 24
