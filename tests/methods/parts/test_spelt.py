import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.core import randomness
from jmim.methods.edit import diffste
from jmim.nn import spatial

PART = diffste.DiffSTE.tiny().told
IDS = {
  "text": jnp.array([[1, 5, 6, 2]] * 3),
  "char": jnp.array([[4, 5, 0]] * 3),
}
BATCH = {"tokens": IDS["text"], "characters": IDS["char"]}
TEXT = field.replace(PART, branches=("text",))
CHAR = field.replace(PART, branches=("char",))


def params(part=PART):
  return part.init(jax.random.key(0))


def test_each_branch_is_a_context_with_its_own_encoder():
  assert PART.contexts == (spatial.Context("text"), spatial.Context("char", 2))
  p = params()
  found = PART.encode(methods.Weights({}), p, PART.ids(BATCH))
  assert list(found) == ["text", "char"]
  np.testing.assert_array_equal(
    found["char"], PART.characters.encode(p["char"], IDS["char"])
  )
  for part, name in ((TEXT, "text"), (CHAR, "char")):
    own = params(part)
    assert list(own) == list(part.widths) == [name]
    assert list(part.inputs(16)) == [{"text": "tokens"}.get(name, "characters")]
    (alone,) = part.encode(methods.Weights({}), p, part.ids(BATCH)).values()
    np.testing.assert_array_equal(alone, found[name])


def test_nothing_is_padding_and_spaces_of_both_at_once():
  none = PART.none(IDS)
  np.testing.assert_array_equal(none["text"], PART.text.pad)
  np.testing.assert_array_equal(none["char"], 0)
  drop = {"told_drop": jnp.array([0.05, 0.5, 0.09])}  # a tenth is dropped
  found = PART.dropped(BATCH, drop)
  for name, ids in IDS.items():
    np.testing.assert_array_equal(found[name][1], ids[1])
    for b in (0, 2):
      np.testing.assert_array_equal(found[name][b], none[name][b])
  never = field.replace(PART, drop=0.0)
  keys = randomness.Keys(jax.random.key(0))
  assert never.draw(keys, (3, 4)) == {} and never.dropped(BATCH, {}) == IDS


def test_a_frozen_encoder_of_texts_is_no_parameter():
  frozen = field.replace(PART, text=dict(path="RUN"))
  own = params(frozen)
  assert list(own) == ["char"]
  (const,) = frozen.consts().values()
  assert const.path == "RUN" and const.key == "method.told.text.path"
  weights = methods.Weights({}, {}, {"text": params()["text"]})
  found = frozen.encode(weights, own, {"text": IDS["text"]})
  want = PART.encode(methods.Weights({}), params(), {"text": IDS["text"]})
  np.testing.assert_array_equal(found["text"], want["text"])
  assert field.replace(frozen, branches=("char",)).consts() == {}


@pytest.mark.parametrize(
  ("fields", "seen"),
  [
    (dict(branches=()), "told.branches"),
    (dict(branches=("text", "text")), "told.branches"),
    (dict(branches=("image",)), "told.branches"),
    (dict(characters=dict(heads=3)), "told.characters.heads 3"),
    (dict(tokens=7), "told.tokens=7"),
    (dict(text=dict(end=9)), "told.text.end"),
  ],
)
def test_what_does_not_go_together_is_named(fields, seen):
  with pytest.raises(ValueError, match=seen):
    field.replace(PART, **fields).inputs(16)
