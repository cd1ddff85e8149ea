"""What the card says must hold of DiffDis, whose code is not public."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import diffdis
from jmim.methods.latent import ldm

M = diffdis.DiffDis.tiny()
B, KEY = 6, jax.random.key(0)


def given(seed=0):
  """Latents, and texts that differ: start, two words, end, padding."""
  rng = np.random.default_rng(seed)
  shapes = {n: (B, *spec.shape) for n, spec in M.inputs().items()}
  words = rng.permutation([(i, j) for i in range(3, 9) for j in range(3, 9)])
  tokens = np.zeros(shapes["tokens"], np.int32)
  tokens[:, 0], tokens[:, 1:3], tokens[:, 3] = 1, words[:B], 2
  moments = rng.normal(size=shapes["moments"]).astype(np.float32)
  return {"moments": moments, "tokens": tokens}


@pytest.fixture(scope="module")
def weights():
  """Every leaf is some number, none 0 or 1."""
  rng = np.random.default_rng(1)
  consts = {name: const.init for name, const in M.consts().items()}
  shapes = jax.eval_shape(
    lambda key: (M.init(key, {})[0], {n: f(key) for n, f in consts.items()}),
    KEY,
  )
  made = jax.tree.map(
    lambda s: (0.3 * rng.normal(size=s.shape)).astype("f4"), shapes
  )
  extra = {"scale": np.float32(0.7)} if M.first_stage.measured else {}
  return methods.Weights(made[0], extra, made[1])


@functools.cache
def _losses(shares, method=M):
  part = field.replace(
    method, shares=dict(generation=shares[0], discrimination=shares[1])
  )
  run = lambda w, batch, draws: part.loss(w, batch, draws, 0)
  return jax.jit(run)


def losses(weights, batch=None, shares=(0.5, 0.5), **draws):
  batch = batch or given()
  drawn = M.drawn(KEY, batch) | draws
  total, aux = _losses(shares)(weights, batch, drawn)
  return float(total), {k: float(v) for k, v in aux.items()}


@functools.cache
def _output(name):
  return jax.jit(M.predict()[name])


def other_branch(weights, factor):
  main = weights.params["main"]
  branch = jax.tree.map(lambda x: factor * x, main["branch"])
  return methods.Weights(
    {"main": main | {"branch": branch}}, weights.extra, weights.consts
  )


def test_images_are_those_of_the_plain_unet_bit_for_bit(weights):
  """Whatever the branch is, off (0) or on."""
  batch = given()
  plain = jax.jit(ldm.LDM.sample, static_argnums=0)
  wanted = plain(M.plain, weights, batch, KEY)
  for factor in (0.0, 1.0, -3.0):
    found = _output("sample")(other_branch(weights, factor), batch, KEY)
    np.testing.assert_array_equal(found, wanted)
  drawn = M.drawn(KEY, batch)
  first = {k: v[: B // 2] for k, v in batch.items()}
  drawn = {k: v[: B // 2] for k, v in drawn.items()}
  loss, _ = jax.jit(lambda w, b, d: M.plain.loss(w, b, d, 0))(
    weights, first, drawn
  )
  np.testing.assert_allclose(
    losses(weights)[1]["loss_generation"], loss, rtol=1e-6
  )


def test_what_an_image_says_does_not_depend_on_its_caption(weights):
  batch = given()
  other = batch | {"tokens": given(5)["tokens"]}
  assert (batch["tokens"] != other["tokens"]).any(1).all()
  names = {"query": {}, "match": {"candidates": np.eye(6, dtype="f4")[None]}}
  names["match"]["candidates"] = names["match"]["candidates"].repeat(B, 0)
  for name, more in names.items():
    one, two = (_output(name)(weights, x | more, KEY) for x in (batch, other))
    np.testing.assert_array_equal(one, two)
  moved = batch | {"moments": batch["moments"][::-1]}
  found = _output("query")(weights, moved, KEY)
  assert np.abs(found - _output("query")(weights, batch, KEY)).max() > 1e-3


def test_the_image_is_clean_in_discrimination(weights):
  """Its noise and its times are those of generation alone."""
  drawn = M.drawn(KEY, given())
  _, aux = losses(weights)
  _, other = losses(weights, t=drawn["t"][::-1], noise=-drawn["noise"])
  assert aux["loss_generation"] != other["loss_generation"]
  for name in ("loss_query", "loss_contrast", "hits"):
    assert aux[name] == other[name], name
  _, other = losses(weights, query_noise=-drawn["query_noise"])
  assert aux["loss_generation"] == other["loss_generation"]
  assert aux["loss_query"] != other["loss_query"]


def test_each_task_has_its_share_and_the_loss_is_their_sum(weights):
  total, aux = losses(weights)
  want = sum(aux[f"loss_{n}"] for n in ("generation", "query", "contrast"))
  np.testing.assert_allclose(total, want, rtol=1e-6)
  alone, told = losses(weights, shares=(1.0, 0.0))
  assert "loss_query" not in told and told["loss_generation"] == alone
  alone, told = losses(weights, shares=(0.0, 1.0))
  assert "loss_generation" not in told
  np.testing.assert_allclose(
    alone, told["loss_query"] + told["loss_contrast"], rtol=1e-6
  )
  weighed = field.replace(M, query_weight=3.0, contrast=dict(weight=0.5))
  batch = given()
  found, _ = _losses((0.5, 0.5), weighed)(weights, batch, M.drawn(KEY, batch))
  want = aux["loss_generation"] + 3 * aux["loss_query"]
  np.testing.assert_allclose(
    found, want + 0.5 * aux["loss_contrast"], rtol=1e-5
  )


def test_all_texts_of_the_batch_are_answers(weights):
  """Also those of images that generation learns from, if they differ."""
  batch = given()
  _, aux = losses(weights)
  tokens = batch["tokens"].copy()
  tokens[0] = given(9)["tokens"][0]
  _, other = losses(weights, batch | {"tokens": tokens})
  assert abs(aux["loss_contrast"] - other["loss_contrast"]) > 1e-6
  assert aux["loss_query"] == other["loss_query"]


def test_texts_have_length_one_and_only_their_words_count(weights):
  batch = given()
  found = np.asarray(_output("text")(weights, batch, KEY))
  np.testing.assert_allclose((found**2).sum(1), 1, rtol=1e-5)
  other = batch | {"moments": -batch["moments"]}
  np.testing.assert_array_equal(found, _output("text")(weights, other, KEY))
  assert np.abs(found[0] - found[1]).max() > 1e-3


def test_matches_are_of_the_candidates_or_of_the_texts_of_the_batch(weights):
  batch = given()
  texts = np.asarray(_output("text")(weights, batch, KEY))
  own = np.asarray(_output("match")(weights, batch, KEY))
  assert own.shape == (B, B) and (own < 0).all()
  back = np.broadcast_to(texts[::-1], (B, *texts.shape))
  found = _output("match")(weights, batch | {"candidates": 5 * back}, KEY)
  np.testing.assert_allclose(found, own[:, ::-1], rtol=1e-4)


def test_the_unet_learns_at_its_own_rate():
  (group,) = field.replace(M, image_lr=0.1).groups()
  assert group.lr == 0.1 and group.pattern == "^main/net/"


@pytest.mark.parametrize(
  ("change", "key"),
  [
    ({"condition": {"text": {"path": ""}}}, r"condition\.text\.path"),
    ({"condition": {"task": "tokens"}}, r"condition\.task='tokens'"),
    ({"branch": {"head_width": 5}}, r"branch\.head_width 5"),
    (
      {"shares": {"generation": 0.0, "discrimination": 0.0}},
      r"shares\.generation",
    ),
    ({"query": {"steps": 19}}, r"query\.steps 19"),
  ],
)
def test_what_does_not_go_together_is_refused(change, key):
  with pytest.raises(ValueError, match=key):
    field.replace(M, **change).inputs()


def test_gradients_of_discrimination_reach_the_unet_and_no_text(weights):
  batch = given()
  drawn = M.drawn(KEY, batch)

  @jax.jit
  def slopes(main):
    def loss(main):
      own = methods.Weights({"main": main}, weights.extra, weights.consts)
      terms = M.discriminate(own, batch, drawn)
      return terms["loss_query"] + terms["loss_contrast"]

    return jax.grad(loss)(main)

  found = slopes(weights.params["main"])
  size = lambda tree: max(jnp.abs(x).max() for x in jax.tree.leaves(tree))
  for name in ("conv_in", "middle_0", "up0_1", "down0_0_attention"):
    assert size(found["net"][name]) > 1e-6, name
  assert size(found["branch"]) > 1e-5 and abs(found["log_scale"]) > 1e-6
  # The last norm and convolution make images alone.
  assert not size(found["net"]["conv_out"])
