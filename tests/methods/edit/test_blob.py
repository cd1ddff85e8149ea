"""The model that is told ellipses."""

import jax
import jax.numpy as jnp
import numpy as np
import toydiffusion

from jmim.core import tree as trees
from jmim.methods.edit import blob
from jmim.nn import ellipses as forms

OWNER = blob.Blob.tiny()
WEIGHTS = toydiffusion.fresh(OWNER)
B = 3
RNG = np.random.default_rng(0)
BATCH = {
  name: jnp.asarray(x)
  for name, x in toydiffusion.batch_of(OWNER.inputs(), B).items()
}
BATCH["ellipses"] = jnp.asarray(
  [[[0.3, 0.3, 0.2, 0.15, 0.4], [0.7, 0.6, 0.25, 0.2, 0.0]]] * B
)
X, T = BATCH["image"], jnp.array([2.0, 7.0, 15.0])


@jax.jit
def raw(weights, batch):
  told, _ = OWNER.guiding(weights, batch)
  return OWNER.network(weights.params, X, T, told)


def test_a_fresh_model_predicts_what_it_does_without_things_bit_for_bit():
  params, _ = jax.jit(OWNER.init)(jax.random.key(0), BATCH)
  rng = np.random.default_rng(1)
  # Outputs that begin at 0 would hide what is before them; gates stay there.
  named = {
    n: x if "gate_" in n else x + 0.1 * rng.normal(size=x.shape).astype("f4")
    for n, x in trees.named(params).items()
  }
  main = trees.nested(named)["main"]
  plain = OWNER.plain
  known = trees.named(jax.eval_shape(plain.init, jax.random.key(0), BATCH)[0])
  assert set(known) <= set(named)

  @jax.jit
  def with_things(main):
    weights = type(WEIGHTS)({"main": main})
    told, _ = OWNER.guiding(weights, BATCH)
    return OWNER.network(weights.params, X, T, told)

  @jax.jit
  def without(main):
    weights = type(WEIGHTS)({"main": main})
    told, _ = plain.guiding(weights, BATCH)
    return plain.network(weights.params, X, T, told)

  found, wanted = with_things(main), without(main)
  assert np.abs(wanted).max() > 0.01
  np.testing.assert_array_equal(found, wanted)
  # And the gate is all that holds it back.
  opened = {n: x + 0.5 * ("gate_" in n) for n, x in named.items()}
  other = with_things(trees.nested(opened)["main"])
  assert np.abs(other - wanted).max() > 1e-3


def test_it_is_told_where_things_are_and_what():
  first = raw(WEIGHTS, BATCH)
  moved = BATCH["ellipses"] + jnp.array([0.1, 0, 0, 0, 0])
  assert np.abs(raw(WEIGHTS, BATCH | {"ellipses": moved}) - first).max() > 1e-3
  words = (BATCH["thing_tokens"] + 1) % 9
  assert (
    np.abs(raw(WEIGHTS, BATCH | {"thing_tokens": words}) - first).max() > 1e-3
  )
  caption = (BATCH["tokens"] + 1) % 9
  assert np.abs(raw(WEIGHTS, BATCH | {"tokens": caption}) - first).max() > 1e-3
  # Who is who does not matter: things are a set.
  turned = {n: BATCH[n][:, ::-1] for n in ("ellipses", "thing_tokens")}
  np.testing.assert_allclose(raw(WEIGHTS, BATCH | turned), first, atol=1e-4)


def test_nothing_told_is_no_caption_and_no_thing():
  told, nothing = (t["context"] for t in OWNER.guiding(WEIGHTS, BATCH))
  assert told.places.any() and not nothing.places.any()
  assert not nothing.said.any()
  other = BATCH | {
    "thing_tokens": (BATCH["thing_tokens"] + 1) % 9,
    "tokens": (BATCH["tokens"] + 1) % 9,
  }
  _, same = OWNER.guiding(WEIGHTS, other)
  for name in ("context", "tokens", "places", "said"):
    a, b = getattr(nothing, name), getattr(same["context"], name)
    np.testing.assert_array_equal(a, b)


def test_in_training_things_and_caption_are_dropped_together():
  draws = OWNER.drawn(jax.random.key(0), BATCH)
  assert draws["vague"].shape == (B, 2)
  draws = draws | {
    "label_drop": jnp.array([0.0, 0.9, 0.9]),
    "vague": jnp.array([[0.9, 0.9], [0.9, 0.9], [0.0, 0.9]]),
  }
  shown = OWNER.in_training(WEIGHTS, BATCH, draws)["context"]
  told, nothing = (t["context"] for t in OWNER.guiding(WEIGHTS, BATCH))
  close = lambda a, b: np.allclose(a, b, atol=1e-5)
  assert close(shown.context[0], nothing.context[0])
  assert close(shown.tokens[0], nothing.tokens[0])
  assert close(shown.context[1], told.context[1])
  assert close(shown.tokens[1], told.tokens[1])
  # Of a vague one the caption goes, and the other thing keeps its words.
  assert close(shown.context[2], nothing.context[2])
  assert not close(shown.tokens[2, 0], told.tokens[2, 0])
  assert close(shown.tokens[2, 1], told.tokens[2, 1])


def test_as_functions_it_reads_ellipses_and_words():
  source = OWNER.diffuser(WEIGHTS)
  assert set(source.reads) == {"tokens", "ellipses", "thing_tokens"}
  assert source.guides and source.can == ("encode", "decode")
  told, nothing = source.tell(BATCH)
  guided = jax.jit(source.guided, static_argnames="scale")
  found = guided(X, T, told, nothing, scale=2.0)
  full, none = (guided(X, T, told, nothing, scale=s) for s in (1, 0))
  np.testing.assert_allclose(full, raw(WEIGHTS, BATCH), atol=1e-5)
  np.testing.assert_allclose(found, 2 * full - none, atol=1e-4)


def test_a_sample_is_told_of_its_things():
  run = jax.jit(lambda batch: OWNER.sample(WEIGHTS, batch, jax.random.key(0)))
  first = run(BATCH)
  by = jnp.broadcast_to(jnp.array([0.2, 0.0]), (B, 2))
  moved = forms.moved(BATCH["ellipses"], jnp.zeros(B, int), by)
  assert np.abs(run(BATCH | {"ellipses": moved}) - first).max() > 1e-3
