import flax.linen as nn
import jax
import numpy as np
import pytest

from jmim.nn import spatial

RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, 4, 3, 8)).astype(np.float32)
CONTEXT = RNG.normal(size=(2, 5, 6)).astype(np.float32)


def test_both_start_as_the_identity():
  attention = spatial.SpatialAttention(heads=2, groups=4)
  (found, _), _ = jax.jit(attention.init_with_output)(jax.random.key(0), X)
  np.testing.assert_array_equal(found, X)
  net = spatial.SpatialTransformer(heads=2, groups=4)
  start = jax.jit(net.init_with_output)
  (found, _), _ = start(jax.random.key(0), X, CONTEXT)
  np.testing.assert_array_equal(found, X)


def test_attention_does_not_know_places(fill):
  net = spatial.SpatialAttention(heads=2, groups=4)
  variables = fill(net, X)
  found, taps = net.apply(variables, X)
  turned, _ = net.apply(variables, X[:, ::-1, ::-1])
  np.testing.assert_allclose(turned[:, ::-1, ::-1], found, atol=1e-5)
  assert np.abs(found - X).max() > 0.01
  np.testing.assert_allclose(
    X.reshape(2, 12, 8) + taps["attn"], found.reshape(2, 12, 8), atol=1e-6
  )


def test_a_context_is_a_set_that_reaches_every_place(fill):
  net = spatial.SpatialTransformer(heads=2, groups=4)
  variables = fill(net, X, CONTEXT)
  see = lambda context: net.apply(variables, X, context)[0]
  found = see(CONTEXT)
  same = see(CONTEXT[:, ::-1])
  np.testing.assert_allclose(same, found, atol=1e-5)
  other = CONTEXT.copy()
  other[:, 0] += 3.0
  moved = np.abs(see(other) - found).max(-1)
  assert moved.min() > 1e-5
  # An example sees its own context alone.
  half = see(np.stack([CONTEXT[0], other[1]]))
  np.testing.assert_allclose(half[0], found[0], atol=1e-6)


class Mean(nn.Module):
  """Stands where self-attention does: the mean over all keys."""

  heads: int
  rt: object

  def __call__(self, x, keys):
    return x * 0 + keys.mean(1, keepdims=True)


@pytest.mark.parametrize("depth", [0, 2])
def test_another_module_may_stand_where_self_attention_does(fill, depth):
  """Its tap is what it gave: the same at all places."""
  if depth:
    net = spatial.SpatialTransformer(
      heads=2, depth=depth, groups=4, self_attention=Mean
    )
  else:
    net = spatial.SpatialAttention(heads=2, groups=4, self_attention=Mean)
  variables = fill(net, X, CONTEXT)
  _, taps = net.apply(variables, X, CONTEXT)
  assert list(taps) == (["self_0", "self_1"] if depth else ["attn"])
  for tokens in taps.values():
    np.testing.assert_allclose(tokens, tokens[:, :1] + 0 * tokens, atol=1e-6)
  names = variables["params"]
  assert not {"attn", "self_0"} & set(names)  # this one has no parameters
  assert not depth or {"cross_0", "cross_1"} <= set(names)


TEXT, LETTERS = spatial.Context("text", 4), spatial.Context("letters")


def several(*contexts, **fields):
  options = {"groups": 4, "depth": 2}
  return spatial.SeveralTransformers(
    contexts=contexts, heads=2, options=options, **fields
  )


def test_several_contexts_have_transformers_whose_outputs_are_averaged(fill):
  net, letters = several(TEXT, LETTERS), CONTEXT[:, :, :3] + 1
  given = {"text": CONTEXT, "letters": letters}
  variables = fill(net, X, given)
  found, tokens = net.apply(variables, X, given)
  assert sorted(tokens) == [
    *("letters/self_0", "letters/self_1"),
    *("text/self_0", "text/self_1"),
  ]
  alone = {}
  for name, heads in (("text", 4), ("letters", 2)):
    one = spatial.SpatialTransformer(heads=heads, groups=4, depth=2)
    own = {"params": variables["params"][name]}
    alone[name], _ = one.apply(own, X, given[name])
    left, _ = net.apply(variables, X, {name: given[name]})
    np.testing.assert_array_equal(left, alone[name])
  assert np.abs(alone["text"] - alone["letters"]).max() > 0.01
  both = (alone["text"] + alone["letters"]) / 2
  np.testing.assert_allclose(found, both, atol=1e-6)
  # One that is None is not given.
  left, _ = net.apply(variables, X, given | {"letters": None})
  np.testing.assert_array_equal(left, alone["text"])


def test_two_alike_are_one_and_may_be_joined_otherwise(fill):
  net = several(LETTERS, spatial.Context("more"))
  one = several(LETTERS)
  variables = fill(one, X, {"letters": CONTEXT})
  (alone, tokens) = one.apply(variables, X, {"letters": CONTEXT})
  assert list(tokens) == ["self_0", "self_1"]
  twice = {"params": dict.fromkeys(("letters", "more"), variables["params"])}
  given = {"letters": CONTEXT, "more": CONTEXT}
  both, _ = net.apply(twice, X, given)
  np.testing.assert_allclose(both, alone, atol=1e-6)
  added = net.clone(join=lambda maps: sum(maps) - X)
  more, _ = added.apply(twice, X, given)
  np.testing.assert_allclose(more - X, 2 * (alone - X), atol=1e-5)


def test_a_single_context_is_the_transformer_that_has_no_name(fill):
  plain = spatial.SpatialTransformer(heads=4, groups=4, depth=2)
  variables = fill(plain, X, CONTEXT)
  named = several(TEXT)
  start = jax.eval_shape(named.init, jax.random.key(0), X, {"text": CONTEXT})
  shapes = lambda tree: jax.tree.map(lambda x: x.shape, tree)
  assert shapes(dict(start)) == shapes(dict(variables))
  found, _ = named.apply(variables, X, {"text": CONTEXT})
  np.testing.assert_array_equal(found, plain.apply(variables, X, CONTEXT)[0])


@pytest.mark.parametrize(
  ("given", "seen"),
  [
    (CONTEXT, "without a name"),
    ({}, "contexts"),
    ({"text": None}, "contexts"),
    ({"text": CONTEXT, "image": CONTEXT}, "image"),
    ({"text": CONTEXT}, "letters"),  # while parameters are made
  ],
)
def test_contexts_that_do_not_fit_are_refused(given, seen):
  with pytest.raises(ValueError, match=seen):
    several(TEXT, LETTERS).init(jax.random.key(0), X, given)
