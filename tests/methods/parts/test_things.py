"""Ellipses and descriptions as a condition."""

import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toydiffusion

from jmim.core import field
from jmim.core import randomness
from jmim.methods.edit import blob
from jmim.methods.parts import labels
from jmim.methods.parts import things

OWNER = blob.Blob.tiny()
PART, CONDITION = OWNER.things, OWNER.condition
WEIGHTS = toydiffusion.fresh(OWNER)
B, K, L = 4, 2, 2
ELLIPSES = np.array(
  [[0.3, 0.3, 0.2, 0.15, 0.4], [0.7, 0.6, 0.25, 0.2, 0.0]], np.float32
)
BATCH = {
  "ellipses": jnp.asarray(np.stack([ELLIPSES] * B)),
  "thing_tokens": jnp.array([[[1, 2], [4, 0]]] * B, jnp.int32),
  "tokens": jnp.array([[1, 2, 5]] * B, jnp.int32),
}
CAPTION = jnp.ones((B, 3, 8))


def told(batch=None, owner=OWNER, weights=WEIGHTS):
  call = functools.partial(
    owner.things.told, condition=owner.condition, side=owner.size
  )
  return jax.jit(call)(weights, BATCH if batch is None else batch, CAPTION)


def test_words_go_through_the_encoder_of_captions():
  found = told()
  assert found.context is not None
  params = WEIGHTS.params["main"]["condition"]
  # A description is a text that is filled up, of which its words are kept.
  ids = jnp.array([[1, 2, 0]])
  wanted = CONDITION.contexts.embed(params, ids)[0, :2]
  np.testing.assert_allclose(found.words[0, 0], wanted, atol=1e-5)
  np.testing.assert_array_equal(found.said[0], [[True, True], [True, False]])


def test_what_fills_up_is_no_word():
  """Neither is it seen, nor in the mean that a token is made of."""
  ids = jnp.array([[4, 0, 0]])
  params = WEIGHTS.params["main"]["condition"]
  text = CONDITION.contexts.embed(params, ids)[:, :1]
  net = PART.net(8)
  variables = {"params": WEIGHTS.params["main"]["things"]}
  wanted = net.apply(variables, BATCH["ellipses"][:1, 1:], text)
  np.testing.assert_allclose(told().tokens[:1, 1:], wanted, atol=1e-5)


def test_places_are_those_of_the_ellipses_and_none_without():
  found = told()
  assert found.places.shape == (B, K, 8, 8)
  assert found.places.any((2, 3)).all()
  gone = BATCH | {"ellipses": BATCH["ellipses"].at[:, 1].set(0.0)}
  fewer = told(gone)
  assert not fewer.places[:, 1].any() and not fewer.said[:, 1].any()
  np.testing.assert_array_equal(fewer.places[:, 0], found.places[:, 0])


def test_what_is_dropped_has_no_things_and_no_caption():
  drop = jnp.array([0.0, 0.29, 0.31, 0.9])
  draws = {"label_drop": drop, "vague": jnp.ones((B, K))}
  label = labels.Labels(drop=0.3)
  batch, after = PART.dropped(CONDITION, BATCH, draws, label)
  np.testing.assert_array_equal(batch["ellipses"][:2], 0)
  np.testing.assert_array_equal(batch["ellipses"][2:], BATCH["ellipses"][2:])
  np.testing.assert_array_equal(after["label_drop"], drop)
  np.testing.assert_array_equal(batch["thing_tokens"], BATCH["thing_tokens"])


def test_a_vague_description_says_the_same_of_all_and_has_no_caption():
  vague = jnp.array([[0.1, 0.9], [0.9, 0.9], [0.2, 0.1], [0.9, 0.29]])
  draws = {"label_drop": jnp.ones(B), "vague": vague}
  label = labels.Labels(drop=0.0)
  batch, after = PART.dropped(CONDITION, BATCH, draws, label)
  chosen = np.asarray(vague < 0.3)
  tokens = np.asarray(batch["thing_tokens"])
  np.testing.assert_array_equal(tokens[chosen], [[3, 0]] * 4)
  plain = np.asarray(BATCH["thing_tokens"])
  np.testing.assert_array_equal(tokens[~chosen], plain[~chosen])
  # Even where no caption is dropped otherwise.
  dropped = np.asarray(after["label_drop"] < label.drop)
  np.testing.assert_array_equal(dropped, [True, False, True, True])
  np.testing.assert_array_equal(batch["ellipses"], BATCH["ellipses"])


def test_as_many_are_vague_as_asked_for():
  part = things.Things(vague=0.25, vague_tokens=(1,))
  drawn = part.draw(randomness.Keys(jax.random.key(0)), (2000,))["vague"]
  assert drawn.shape == (2000, 2)
  assert abs(float((drawn < part.vague).mean()) - 0.25) < 0.03
  assert things.Things().draw(randomness.Keys(jax.random.key(0)), (4,)) == {}


def test_of_a_text_encoder_descriptions_are_filled_with_its_own_token():
  small = dict(vocabulary=9, length=4, start=1, end=2, pad=7)
  owner = field.replace(
    OWNER,
    condition=dict(task="text", text=dict(**small, width=8, depth=1, heads=2)),
    things=dict(length=3, vague_tokens=(1, 2)),
  )
  assert owner.inputs()["thing_tokens"].holds == (1, 2)
  ids = jnp.array([[[1, 5, 2], [1, 2, 7]]] * B)
  batch = BATCH | {"thing_tokens": ids}
  found = told(batch, owner, toydiffusion.fresh(owner))
  np.testing.assert_array_equal(found.said[0], ids[0] != 7)
  np.testing.assert_array_equal(
    owner.things.filled(owner.condition, (1, 2)), [1, 2, 7]
  )


@pytest.mark.parametrize(
  "changes, words",
  [
    (dict(condition=dict(task="context")), "condition.task 'context'"),
    (dict(things=dict(length=4)), "things.length 4: captions have 3"),
    (dict(things=dict(vague=0.0)), "things.vague=0.0 with"),
    (dict(things=dict(vague_tokens=(1, 2, 3))), "vague_tokens .*length 2"),
  ],
)
def test_what_does_not_go_together_is_named(changes, words):
  with pytest.raises(ValueError, match=words):
    field.replace(OWNER, **changes).inputs()


def test_alone_all_but_what_is_new_is_frozen():
  (group,) = dataclasses.replace(PART, alone=True).groups()
  assert group.frozen and not PART.groups()
  frozen = lambda name: bool(re.search(group.pattern, name))
  assert frozen("main/net/up0_0_attention/self_0/q/kernel")
  assert frozen("main/condition/tokens/token_embed/embedding")
  assert not frozen("main/things/fc1/kernel")
  assert not frozen("main/net/up0_0_attention/gated_0/gate_mlp")
  assert not frozen("main/net/up0_0_attention/gate_words_0")
