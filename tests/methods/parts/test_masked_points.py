"""Encoder and decoder of clouds, and their two heads."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.methods.parts import masked_points
from jmim.nn import points
from jmim.nn.decoders import points as decoders
from jmim.nn.nets import point_encoder

PART = masked_points.MaskedPoints(
  encoder=point_encoder.TINY, decoder=decoders.Dims(heads=2)
)


@pytest.fixture(scope="module")
def cloud(normal):
  return jnp.asarray(normal(2, 32, 3))


def test_every_member_of_a_visible_group_is_visible_below(cloud):
  levels = PART.divide(cloud)
  top = jnp.asarray([[True, False, True, False], [False] * 3 + [True]])
  seen = PART.visible(levels, top, leak=False)
  assert [s.shape[1] for s in seen] == list(PART.encoder.groups)
  np.testing.assert_array_equal(seen[-1], top)
  for i in (1, 2):
    wanted = points.seen_below(levels[i].near, seen[i], seen[i - 1].shape[1])
    np.testing.assert_array_equal(seen[i - 1], wanted)
  leaky = PART.visible(levels, top, leak=True)
  assert leaky[0][0, 0] and leaky[1][0, 0]
  np.testing.assert_array_equal(leaky[0][1], seen[0][1])


def test_heads_predict_for_each_member_of_the_last_level(cloud):
  key = jax.random.key(0)
  params, found = jax.jit(lambda k: PART.init(k, cloud[:1], 5))(key)
  levels = PART.divide(cloud)
  seen = PART.visible(levels, jnp.ones((2, 4), bool), leak=False)
  run = jax.jit(PART.forward, static_argnames="train")
  out = run(params, found, levels, seen, train=False)
  assert PART.last == 1
  assert out["head_3d"].shape == (2, 6, 3, 3)
  assert out["head_2d"].shape == (2, 6, 3, 5)
  alone = {k: v for k, v in params.items() if k != "head_2d"}
  fewer = run(alone, found, levels, seen, train=False)
  assert "head_2d" not in fewer
  np.testing.assert_array_equal(fewer["head_3d"], out["head_3d"])
  # In training the statistics of both networks move.
  moved = run(params, found, levels, seen, train=True)["statistics"]
  for name in ("encoder", "decoder"):
    pairs = zip(*map(jax.tree.leaves, (moved[name], found[name])), strict=True)
    assert all(np.abs(a - b).max() > 0 for a, b in pairs)
  kernel = params["encoder"]["embed0"]["map2"]["kernel"]
  np.testing.assert_allclose(kernel.std(), 0.02, rtol=0.2)


def test_messages_name_the_part():
  with pytest.raises(ValueError, match="own.encoder.groups"):
    PART.check(5, "own")
