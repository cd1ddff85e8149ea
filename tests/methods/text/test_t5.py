import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.text import t5

TOKENS = jnp.array([[3, 4, 5, 6, 1, 0], [7, 8, 2, 3, 4, 5]])
BATCH = {"tokens": TOKENS}


def made(**fields):
  return field.replace(t5.T5.tiny(), **fields)


def weights(m):
  return methods.Weights(*m.init(jax.random.key(0), BATCH))


def test_a_prefix_is_read_and_the_rest_said():
  m = made(objective="prefix", whole=0.5)
  draws = {"whole": jnp.array([0.9, 0.1]), "place": jnp.array([0.5, 0.5])}
  task = m.task(BATCH, draws)
  np.testing.assert_array_equal(task.inputs[0], [3, 4, 1, 0, 0, 0, 0])
  np.testing.assert_array_equal(task.targets[0], [5, 6, 1, 0, 0, 0, 0])
  # The second is read whole and said whole.
  np.testing.assert_array_equal(task.inputs[1], [7, 8, 2, 3, 4, 5, 1])
  np.testing.assert_array_equal(task.targets[1], task.inputs[1])
  np.testing.assert_array_equal(task.read.sum(1), [3, 7])


def test_gaps_are_read_as_sentinels():
  m = made(whole=0.0)
  draws = m.drawn(jax.random.key(3), BATCH)
  task = m.task(BATCH, draws)
  for i, tokens in enumerate(TOKENS):
    words = [t for t in tokens.tolist() if t > 1]
    shown = task.inputs[i][task.read[i]].tolist()[:-1]
    told = task.targets[i][task.said[i]].tolist()[:-1]
    gaps = [t for t in shown if t > m.vocabulary]
    assert gaps == [m.sentinel - k for k in range(len(gaps))]
    assert [t for t in told if t > m.vocabulary] == gaps
    # What was hidden fits into its places.
    parts, k = {}, None
    for t in told:
      if t > m.vocabulary:
        k = parts.setdefault(t, [])
      else:
        k.append(t)
    again = [x for t in shown for x in parts.get(t, [t])]
    assert again == words


@pytest.mark.parametrize("objective", t5.OBJECTIVES)
def test_the_loss_is_a_mean_over_the_tokens_of_the_batch(objective):
  m = made(objective=objective)
  w, draws = weights(m), m.drawn(jax.random.key(0), BATCH)
  one = lambda i: jax.tree.map(lambda x: x[i : i + 1], (BATCH, draws))
  loss = jax.jit(lambda b, d: m.loss(w, b, d, 0)[0])
  count = np.asarray(m.task(BATCH, draws).said.sum(1))
  each = [loss(*one(i)) for i in range(2)]
  np.testing.assert_allclose(
    loss(BATCH, draws), np.average(each, weights=count), rtol=1e-5
  )


def test_it_learns_to_say_a_text_again():
  """Read whole, said whole: a few steps of descent are enough of a sign."""
  m = made(objective="prefix", whole=1.0)
  params, extra = m.init(jax.random.key(0), BATCH)
  draws = m.drawn(jax.random.key(0), BATCH)
  loss = lambda p: m.loss(methods.Weights(p, extra), BATCH, draws, 0)[0]

  @jax.jit
  def descend(p):
    value, slope = jax.value_and_grad(loss)(p)
    return value, jax.tree.map(
      lambda a, b: a - 0.1 * jnp.sign(b) * 0.1, p, slope
    )

  first, params = descend(params)
  for _ in range(120):
    value, params = descend(params)
  assert value < 0.2 * first
  said = m.said(methods.Weights(params, extra), BATCH, jax.random.key(0))
  np.testing.assert_array_equal(said[1], [7, 8, 2, 3, 4, 5, 0])
  np.testing.assert_array_equal(said[0], [3, 4, 5, 6, 0, 0, 0])


def test_features_do_not_depend_on_what_fills_up():
  m = made()
  w, key = weights(m), jax.random.key(0)
  other = {"tokens": TOKENS.at[0, 5].set(8)}  # behind the end
  np.testing.assert_allclose(
    m.features(w, BATCH, key), m.features(w, other, key), atol=1e-6
  )


@pytest.mark.parametrize(
  "fields, said",
  [
    (dict(sentinel=14), r"sentinel 14 of network.words 14"),
    (dict(end=0), r"end 0 is pad"),
    (dict(network=dict(buckets=6)), r"network.buckets 6"),
    (
      dict(share=0.5, sentinels=1),
      r"sentinels 1, and length 6, .* make 2 gaps",
    ),
    (dict(share=0.5, sentinel=9), r"9, and 2 gaps: tokens from 8 .* below 9"),
    (
      dict(share=0.5, vocabulary=14, sentinel=2),
      r"2 gaps: tokens from 1 .* below 2",
    ),
  ],
)
def test_fields_that_do_not_go_together(fields, said):
  with pytest.raises(ValueError, match=said):
    made(**fields).inputs()


def test_sentinels_are_asked_for_where_there_are_gaps():
  made(share=0.5, sentinels=2).inputs()
  made(share=0.5, sentinel=10).inputs()  # the tenth and the eleventh token
  made(share=0.5, objective="prefix", sentinels=1, sentinel=9).inputs()
  t5.T5().inputs()
