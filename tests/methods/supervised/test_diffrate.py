"""What the card of DiffRate states exactly."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.parts import mixing as mixings
from jmim.methods.supervised import backbone
from jmim.methods.supervised import diffrate
from jmim.methods.supervised import finetune

TINY = field.replace(
  diffrate.DiffRate.tiny(),
  counts={"granularity": 4, "target": 0.3, "flops_unit": 1e6},
)
DEIT = field.replace(TINY, classifier={"kind": "backbone"})
HOLDERS = {"finetune": finetune.Finetune, "backbone": backbone.Backbone}
KEY = jax.random.key(0)


@pytest.fixture(scope="module")
def case():
  """(method, weights, batch) of both kinds of heads."""

  def make(m):
    rng = np.random.default_rng(0)
    image = rng.normal(size=(2, 16, 16, 3)).astype(np.float32)
    batch = {"image": image, "label": jnp.asarray([1, 4])}
    consts = {n: jax.jit(c.init)(KEY) for n, c in m.consts().items()}
    noise = lambda x: x + 0.1 * rng.normal(size=x.shape).astype(np.float32)
    consts = jax.tree.map(noise, consts)
    # About 13 tokens are left by pruning, of which 8 are left by merging.
    more = rng.normal(size=(2, 1, 4)).astype(np.float32) / 4
    theta = jnp.asarray([[[1.0, 1, 0, -1]], [[-1, 0, 1, 1]]]) + more
    params = {"main": dict(prune=theta[0], merge=theta[1])}
    return methods.Weights(params, {}, consts), batch

  return make


def sure(m, candidate=0):
  """theta that chooses one candidate for certain."""
  shape = m.counts.init(*m.extent)["prune"].shape
  theta = jnp.full(shape, -300.0).at[:, candidate].set(300.0)
  return {"main": {"prune": theta, "merge": theta}}


@pytest.mark.parametrize("m", [TINY, DEIT], ids=["mae", "deit"])
def test_counts_that_keep_all_are_the_untouched_model(case, m):
  """Bit for bit by lists; masked, up to the eps of the softmax."""
  weights, batch = case(m)
  weights = dataclasses.replace(weights, params=sure(m))
  c = m.classifier
  holder = HOLDERS[c.kind](size=m.size, classes=m.classes, dims=c.dims)
  frozen = methods.Weights({"main": weights.consts["classifier"]})
  want = holder.classify(frozen, batch, KEY)
  counts = m.learned(weights.params)
  kept = [[int(k) for k in x] for x in (counts.prune, counts.merge)]
  assert kept == [[17, 17], [17, 17]]
  lists = {"prune": tuple(kept[0]), "merge": tuple(kept[1])}
  got = field.replace(m, lists=lists).classify(weights, batch, KEY)
  if c.kind == "backbone":
    np.testing.assert_array_equal(got, want)
  # The size-weighted mean of MAE's head adds in another order.
  np.testing.assert_allclose(got, want, atol=1e-6)
  np.testing.assert_allclose(m.classify(weights, batch, KEY), want, atol=1e-4)


@pytest.mark.parametrize("m", [TINY, DEIT], ids=["mae", "deit"])
def test_what_is_learned_is_what_its_lists_are(case, m):
  weights, batch = case(m)
  counts = m.learned(weights.params)
  prune, merge = (tuple(map(int, x)) for x in (counts.prune, counts.merge))
  assert merge[1] < prune[1] < 17
  given = field.replace(m, lists={"prune": prune, "merge": merge})
  np.testing.assert_allclose(
    jax.jit(m.classify)(weights, batch, KEY),
    jax.jit(given.classify)(weights, batch, KEY),
    atol=1e-3,
  )
  # And it costs the same.
  searched = m.flops((counts.prune, counts.merge))
  assert float(searched) == float(m.flops((prune, merge)))
  aux = m.loss(weights, batch, {**m.drawn(KEY, batch)}, 0)[1]
  assert float(aux["flops"]) == pytest.approx(float(searched) / 1e6)


def test_training_clamps_sizes_and_inference_does_not(case):
  weights, batch = case(TINY)
  run = lambda clamp: TINY.forward(weights, batch["image"], {}, clamp=clamp)
  alive = lambda out: np.asarray(out["size"])[np.asarray(out["mask"]) > 0]
  counts = TINY.learned(weights.params)
  kept = [[int(k) for k in x] for x in (counts.prune, counts.merge)]
  cut = TINY.forward(weights, batch["image"], {}, kept)
  trained, loose = run(True), run(False)
  assert (alive(trained) % 1 == 0).all() and (alive(trained) >= 1).all()
  np.testing.assert_allclose(
    alive(loose).reshape(2, -1), cut["size"], atol=1e-3
  )
  assert alive(loose).sum() < alive(trained).sum()


def test_the_loss_is_cross_entropy_and_the_distance_to_the_target(case):
  weights, batch = case(TINY)
  draws = TINY.drawn(KEY, batch)
  loss, aux = TINY.loss(weights, batch, draws, 0)
  far = 5 * (float(aux["flops"]) - 0.3) ** 2
  assert float(loss) == pytest.approx(float(aux["ce"]) + far, rel=1e-5)
  free = field.replace(TINY, counts={"free_steps": 4})
  assert float(free.loss(weights, batch, draws, 3)[0]) == float(aux["ce"])
  logits = TINY.forward(weights, batch["image"], draws)["logits"]
  soft = 0.9 * jax.nn.one_hot(batch["label"], 6) + 0.1 / 6
  ce = -(soft * jax.nn.log_softmax(logits)).sum(-1).mean()
  assert float(aux["ce"]) == pytest.approx(float(ce), rel=1e-5)


def gradient(m, weights, batch):
  def loss(params):
    moved = methods.Weights(params, {}, weights.consts)
    return m.loss(moved, batch, m.drawn(KEY, batch), 0)[0]

  return jax.jit(jax.grad(loss))(weights.params)["main"]


def test_cross_entropy_does_not_reach_the_last_block_of_deit(case):
  """After its attention only the class token is read. MAE reads them all."""
  last = lambda m: gradient(field.replace(m, counts={"weight": 0.0}), *case(m))
  for leaf in last(DEIT).values():
    np.testing.assert_array_equal(leaf, 0)
  for leaf in last(TINY).values():
    assert np.abs(leaf).max() > 1e-7


def test_a_random_order_is_drawn_for_the_search_and_for_lists(case):
  m = field.replace(TINY, lists={"order": "random"})
  weights, batch = case(m)
  assert m.drawn(KEY, batch)["order"].shape == (2, 2, 16)
  one = m.classify(weights, batch, KEY)
  np.testing.assert_array_equal(one, m.classify(weights, batch, KEY))
  other = m.classify(weights, batch, jax.random.key(1))
  assert np.abs(np.asarray(one - other)).max() > 1e-4


def test_mixed_images_are_compared_with_mixed_labels(case):
  mixed = dataclasses.replace(DEIT, mixing=mixings.Mixing())
  weights, batch = case(mixed)
  assert set(mixed.drawn(KEY, batch)) == {"cut", "lam", "box"}


@pytest.mark.parametrize(
  "changes, words",
  [
    (dict(size=18), "does not divide by patch"),
    (dict(counts={"granularity": 20}), "counts.granularity"),
    (dict(lists={"prune": (17, 9)}), "merge"),
    (dict(lists={"prune": (17, 1), "merge": (17, 1)}), "2 .. 17"),
  ],
)
def test_what_does_not_go_together(changes, words):
  with pytest.raises(ValueError, match=words):
    field.replace(TINY, **changes).inputs()
