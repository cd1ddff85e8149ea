import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.discrete import maskgit

TINY = maskgit.MaskGIT.tiny()
N, K, B = TINY.codes.length, TINY.codes.vocabulary, 6
LEVELS = field.replace(
  TINY,
  codes=dict(kind="levels", read="images", channels=1),
  classes=0,
  dropout=0.0,
)


@pytest.fixture(scope="module")
def weights():
  rng = np.random.default_rng(0)
  shapes, _ = jax.eval_shape(TINY.init, jax.random.key(0), {})
  fill = lambda s: (0.3 * rng.normal(size=s.shape)).astype(s.dtype)
  return methods.Weights(jax.tree.map(fill, shapes))


@pytest.fixture(scope="module")
def batch():
  rng = np.random.default_rng(1)
  tokens = rng.integers(0, K, (B, N)).astype(np.int32)
  return {"tokens": tokens, "label": np.arange(B) % 3}


def test_ids_are_codes_classes_mask():
  assert (TINY.mask_id, TINY.net.vocabulary) == (K + 3, K + 4)
  assert LEVELS.mask_id == K + 1


def test_the_loss_is_that_of_masked_codes(weights, batch):
  draws = TINY.drawn(jax.random.key(0), batch)
  assert draws["dropout"].shape == (B, 2)
  quiet = {k: v for k, v in draws.items() if k != "dropout"}
  loss, aux = jax.jit(TINY.loss)(weights, batch, quiet, 0)
  masked = np.asarray(TINY.masks.masked(draws))
  x = np.where(masked, TINY.mask_id, batch["tokens"])
  logits = TINY.logits(weights.params, x, batch["label"])
  logp = np.asarray(jax.nn.log_softmax(logits))
  own = np.take_along_axis(logp, batch["tokens"][..., None], -1)[..., 0]
  cost = -(0.9 * own + 0.1 * logp.mean(-1))
  rows = [c[m].mean() for c, m in zip(cost, masked, strict=True)]
  np.testing.assert_allclose(loss, np.mean(rows), rtol=1e-5)
  assert 0 <= aux["token_accuracy"] <= 1
  with_dropout, _ = jax.jit(TINY.loss)(weights, batch, draws, 0)
  assert with_dropout != loss


def test_the_loss_never_sees_what_is_masked(weights, batch):
  """Other codes there: the same logits."""
  draws = TINY.drawn(jax.random.key(0), batch)
  masked = TINY.masks.masked(draws)
  other = jnp.where(masked, (batch["tokens"] + 1) % K, batch["tokens"])
  hide = lambda ids: jnp.where(masked, TINY.mask_id, ids)
  a, b = (
    TINY.logits(weights.params, hide(ids), batch["label"])
    for ids in (batch["tokens"], other)
  )
  np.testing.assert_array_equal(a, b)


def test_samples_are_codes_and_depend_on_their_number_alone(weights):
  made = jax.jit(TINY.generate)
  index, label = np.arange(4), np.array([0, 1, 2, 0])
  whole = made(weights, {"index": index, "label": label}, jax.random.key(3))
  assert whole["tokens"].max() < K
  assert set(np.unique(whole["order"])) == {0, 1, 2}
  back = made(
    weights, {"index": index[::-1], "label": label[::-1]}, jax.random.key(3)
  )
  np.testing.assert_array_equal(back["tokens"][::-1], whole["tokens"])


def test_a_prompt_stays(weights):
  prompt = np.full((2, N), TINY.mask_id, np.int32)
  prompt[:, 4] = 5
  batch = {"prompt": prompt, "label": np.zeros(2, int)}
  made = TINY.generate(weights, batch, jax.random.key(0))
  assert (made["tokens"][:, 4] == 5).all() and (made["order"][:, 4] == -1).all()
  rest = np.delete(np.asarray(made["order"]), 4, axis=1)
  assert rest.min() == 0


def test_grey_values_are_sampled_as_images_and_reconstructed():
  image = jax.random.uniform(
    jax.random.key(0), (2, 3, 3, 1), minval=-1, maxval=1
  )
  params, extra = jax.jit(LEVELS.init)(jax.random.key(0), {"image": image})
  weights = methods.Weights(params, extra)
  made = LEVELS.sample(weights, {"image": image}, jax.random.key(1))
  assert made.shape == (2, 3, 3, 1) and np.abs(made).max() <= 1
  seen = LEVELS.reconstruct(weights, {"image": image}, jax.random.key(1))
  exact = LEVELS.codes.decode(
    weights, LEVELS.codes.ids(weights, {"image": image})
  )
  known = seen["mask"] == 0
  np.testing.assert_array_equal(seen["image"][known], exact[known])
  assert (seen["mask"].sum((1, 2, 3)) >= 1).all()


def test_mistakes():
  with pytest.raises(ValueError, match="masks.schedule 'cos' is none"):
    field.replace(TINY, masks=dict(schedule="cos")).inputs()
  with pytest.raises(ValueError, match="sampling.schedule 'no'"):
    field.replace(TINY, sampling=dict(schedule="no")).inputs()
