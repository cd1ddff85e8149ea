import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.methods.parts import clip_network

RNG = np.random.default_rng(0)
SMALL = dict(body=dict(variant="S/2", width=16, depth=2, heads=2))
PART = field.replace(clip_network.ClipNetwork(), **SMALL, branch=1)
B, T, SHAPE = 2, 3, (4, 8, 3)
normal = lambda *shape: jnp.asarray(RNG.normal(size=shape), jnp.float32)
TIMES = jnp.array([2.0, 9.0])


def params(part=PART, context=5):
  """No leaf is zero."""
  make = lambda k: part.init(k, SHAPE, out=3, beside=7, context=context)
  shapes = jax.eval_shape(make, jax.random.key(0))
  fill = lambda s: jnp.asarray(0.3 * RNG.normal(size=s.shape), jnp.float32)
  return jax.tree.map(fill, shapes)


P, X = params(), normal(B, T, *SHAPE)


def shown(**own):
  ones = jnp.ones(B)
  return {
    "known": normal(B, T, *SHAPE),
    "given": jnp.array([[True, False, False], [False, False, True]]),
    "told": PART.told(P, normal(B, *SHAPE)),
    "context": normal(B, 4, 5),
    "beside": {"pose": normal(B, T, *SHAPE), "agnostic": normal(B, T, 4, 8, 4)},
    "keep": dict.fromkeys(("garment", "pose", "agnostic"), ones),
  } | own


SHOWN = shown()
RUN = jax.jit(lambda p, x, s: PART.predict(p, x, TIMES, s, out=3))
BASE = np.asarray(RUN(P, X, SHOWN))


def test_given_frames_are_seen_in_place_of_noisy_ones_and_as_given():
  given = np.asarray(SHOWN["given"])
  moved = jnp.where(given[..., None, None, None], X + 5, X)
  np.testing.assert_array_equal(RUN(P, moved, SHOWN), BASE)
  there = jnp.where(given[..., None, None, None], SHOWN["known"], X)
  none = SHOWN | {"given": jnp.zeros_like(SHOWN["given"])}
  assert np.abs(RUN(P, there, none) - BASE).max() > 1e-3  # the mask says so


@pytest.mark.parametrize(
  "name, change",
  [
    ("garment", {"told": PART.told(P, normal(B, *SHAPE))}),
    ("garment", {"context": normal(B, 4, 5)}),
    ("pose", {"beside": SHOWN["beside"] | {"pose": normal(B, T, *SHAPE)}}),
    (
      "agnostic",
      {"beside": SHOWN["beside"] | {"agnostic": normal(B, T, 4, 8, 4)}},
    ),
  ],
)
def test_what_is_left_out_is_not_seen(name, change):
  assert np.abs(RUN(P, X, SHOWN | change) - BASE).max() > 1e-4
  out = {"keep": SHOWN["keep"] | {name: jnp.array([0.0, 1.0])}}
  a, b = RUN(P, X, SHOWN | out), RUN(P, X, SHOWN | out | change)
  np.testing.assert_array_equal(a[0], b[0])
  assert np.abs(a[1] - b[1]).max() > 1e-4
  np.testing.assert_allclose(a[1], BASE[1], rtol=1e-5, atol=1e-5)


def test_a_garment_left_out_is_as_a_closed_gate():
  """gamma = 0, and no context: nothing of the garment."""
  closed = jax.tree_util.tree_map_with_path(
    lambda path, x: jnp.zeros_like(x) if "gamma" in str(path[-1]) else x, P
  )
  dropped = SHOWN | {"keep": SHOWN["keep"] | {"garment": jnp.zeros(B)}}
  empty = SHOWN | {"context": jnp.zeros((B, 4, 5))}
  np.testing.assert_allclose(
    RUN(P, X, dropped), RUN(closed, X, empty), rtol=1e-4, atol=1e-4
  )


def test_fresh_blocks_of_garment_and_branch_are_copies():
  made = PART.init(jax.random.key(0), SHAPE, out=3, beside=7, context=0)
  layers = made["net"]["blocks"]["layers"]
  other = made["garment"]["blocks"]["layers"]["mlp"]
  same = np.testing.assert_array_equal
  jax.tree.map(same, layers["mlp"], other)
  first = jax.tree.map(lambda a: a[:1], layers["temporal"])
  jax.tree.map(same, first, made["net"]["branch"]["layers"]["temporal"])
  assert "cross" not in layers  # nothing to look at


@pytest.mark.parametrize(
  "own, size, told",
  [
    ({}, (4, 7), r"size=\(4, 7\)"),
    ({}, (4,), r"size=\(4,\)"),
    ({"branch": 3}, (4, 8), "dims.branch=3"),
    ({"body": dict(heads=3)}, (4, 8), "heads"),
  ],
)
def test_what_cannot_be_built_is_refused(own, size, told):
  PART.check((4, 8))
  with pytest.raises(ValueError, match=told):
    field.replace(PART, **own).check(size)
