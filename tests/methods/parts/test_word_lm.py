import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method
from jmim.core import tree as trees
from jmim.methods.parts import host as host_of
from jmim.methods.parts import word_lm

PART = field.replace(
  word_lm.WordLM(),
  dims=dict(width=16, depth=2, heads=4),
  hidden=24,
  theta=50.0,
)
LORA = field.replace(PART, lora=dict(rank=2, alpha=4.0))
HOST = host_of.Host()
IDS = jnp.array([[1, 5, 3]])


def filled(make, seed=0):
  rng = np.random.default_rng(seed)
  shapes = jax.eval_shape(make, jax.random.key(0))
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(np.float32)
  return jax.tree.map(fill, shapes)


@pytest.fixture(scope="module")
def weights():
  own = filled(lambda key: LORA.init(key, 7), seed=1)
  host = filled(lambda key: LORA.fresh(key, 7))
  return method.Weights({"main": {"lm": own}}, {}, {"host": host})


def test_without_a_rank_all_of_it_is_trained():
  own = jax.eval_shape(lambda key: PART.init(key, 7), jax.random.key(0))
  whole = jax.eval_shape(lambda key: PART.fresh(key, 7), jax.random.key(0))
  assert own == whole and PART.consts(7, HOST) == {}
  assert own["embed"]["embedding"].shape == (7, 16)
  weights = method.Weights({"main": {"lm": own}})
  assert PART.tree(weights) is own


def test_with_a_rank_the_model_is_frozen_and_little_is_trained(weights):
  own = trees.named(weights.params["main"]["lm"])
  assert {n.split("/")[-2] for n in own} == {"q", "v"}
  assert all("lora_" in n for n in own)
  const = LORA.consts(7, HOST)["host"]
  assert const.key == "method.host.path"
  assert not const.images  # whose normalisation a model of words has not
  field_of, value = const.agrees["network.lm.theta"]
  assert (field_of, value) == ("method.network.lm.theta", 50.0)
  assert const.agrees["network.lm.tied"] == ("method.network.lm.tied", True)
  shapes = jax.eval_shape(const.init, jax.random.key(0))
  assert jax.tree.structure(shapes) == jax.tree.structure(
    weights.consts["host"]
  )


def test_the_map_to_words_may_have_one():
  lora = dict(rank=2, maps=("head",))
  part = field.replace(PART, tied=False, lora=lora)
  part.check(HOST)
  own = jax.eval_shape(lambda key: part.init(key, 7), jax.random.key(0))
  assert set(trees.named(own)) == {"head/lora_down", "head/lora_up"}
  with pytest.raises(ValueError, match=r"lora.maps \['head'\]"):
    field.replace(part, tied=True).check(HOST)


def test_folded_it_computes_the_same(weights):
  run = lambda tree: LORA.ask(tree, 7, IDS)
  beside, folded = run(LORA.tree(weights)), run(LORA.folded(weights))
  np.testing.assert_allclose(beside, folded, atol=1e-5)
  host = run(weights.consts["host"])
  assert np.abs(host - folded).max() > 1e-3
  plain = PART.ask(weights.consts["host"], 7, IDS)
  np.testing.assert_array_equal(host, plain)


@pytest.mark.parametrize(
  ("fields", "text"),
  [
    (
      dict(kv_heads=3),
      "lm.dims.heads 4 does not divide by network.lm.kv_heads",
    ),
    (dict(dims=dict(width=12)), "heads of width 3"),
    (dict(lora=dict(rank=2, maps=("attn/q", "attn/x"))), r"\['attn/x'\]"),
    (dict(lora=dict(rank=2, maps=())), "network.lm.lora.maps"),
  ],
)
def test_mistakes(fields, text):
  with pytest.raises(ValueError, match=text):
    field.replace(PART, **fields).check(HOST)


def test_a_host_without_a_rank_is_refused():
  with pytest.raises(ValueError, match="host.path with network.lm.lora.rank 0"):
    PART.check(host_of.Host(path="x"))
