import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import tree as trees
from jmim.masks import spans
from jmim.methods.parts import host
from jmim.methods.parts import t5

PART = t5.T5(
  words=11,
  width=16,
  depth=1,
  heads=2,
  head_width=8,
  hidden=24,
  buckets=8,
  distance=16,
  piece=2,
)
SPECIAL = spans.Special(pad=0, end=1)


@pytest.fixture(scope="module")
def tree():
  return PART.init(jax.random.key(0))


def test_frozen_sides_are_parts_of_the_whole(tree):
  whole = {n: x.shape for n, x in trees.named(tree).items()}
  const = PART.const(host.Host(path="W"), "decoder", "norm")
  part = trees.named(jax.eval_shape(const.init, jax.random.key(0)))
  assert {n: x.shape for n, x in part.items()}.items() < whole.items()
  kept = {n for n in whole if not n.startswith("encoder/")}
  assert set(part) == kept | {"encoder/norm/scale"}
  assert const.agrees["network.buckets"] == ("method.t5.buckets", 8)
  both = PART.const(host.Host(path="W"), "encoder", "decoder")
  assert set(trees.named(jax.eval_shape(both.init, jax.random.key(0)))) == set(
    whole
  )


def test_nats_are_those_of_whole_logits(tree, normal):
  memory = jnp.asarray(normal(2, 3, 16))
  there = jnp.array([[1, 1, 1], [1, 0, 1]], bool)
  labels = jnp.array([[4, 5, 1], [6, 1, 0]])
  said = jnp.array([[1, 1, 1], [1, 1, 0]], bool)
  nats = PART.nats(tree, memory, labels, present=said, memory_present=there)
  before = jnp.array([[0, 4, 5], [0, 6, 1]])
  seen = dict(present=said, memory_present=there)
  logits = PART.ask(
    tree, "scores", PART.ask(tree, "decode", before, memory, **seen)
  )
  logs = np.asarray(jax.nn.log_softmax(logits))
  want = -np.take_along_axis(logs, np.asarray(labels)[..., None], -1)[..., 0]
  np.testing.assert_allclose(nats, want, atol=1e-5)
  np.testing.assert_allclose(
    t5.mean(nats, said), want[np.asarray(said)].mean(), atol=1e-5
  )
  assert t5.mean(nats, jnp.zeros_like(said)) == 0


def test_what_is_said_is_the_likeliest_token_after_token(tree, normal):
  memory, there = jnp.asarray(normal(3, 4, 16, seed=2)), jnp.ones((3, 4), bool)
  # A network that says one thing at once says little: make it vary.
  loud = {**tree, "embed": jax.tree.map(lambda x: 3 * x, tree["embed"])}
  say = jax.jit(lambda m: PART.say(loud, m, there, length=6, special=SPECIAL))
  said = np.asarray(say(memory))
  for row, m in zip(said, memory, strict=True):
    before = [0]
    for token in row:
      latent = PART.ask(loud, "decode", jnp.array([before]), m[None])
      best = int(PART.ask(loud, "scores", latent)[0, -1].argmax())
      if best in (SPECIAL.pad, SPECIAL.end):
        assert token == SPECIAL.pad
        break
      assert token == best
      before.append(best)
  assert (said > 1).any()


def test_means_are_over_what_is_there(normal):
  x, there = normal(2, 3, 4), np.array([[1, 0, 1], [0, 0, 0]], bool)
  got = t5.pooled(jnp.asarray(x), there)
  np.testing.assert_allclose(got[0], x[0, [0, 2]].mean(0), atol=1e-6)
  np.testing.assert_array_equal(got[1], np.zeros(4))


def test_sizes_that_do_not_go_together_are_refused():
  with pytest.raises(ValueError, match=r"t5.buckets 8 and t5.distance 4"):
    t5.T5(buckets=8, distance=4).check()
  with pytest.raises(ValueError, match=r"end 11 of t5.words 11"):
    PART.check_words(end=11)
