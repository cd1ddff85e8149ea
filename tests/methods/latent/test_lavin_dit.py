import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import field
from jmim.core import method as methods
from jmim.methods.latent import lavin_dit
from jmim.methods.parts import answers
from jmim.methods.parts import in_context
from jmim.nn import visual_tasks

TINY = lavin_dit.LaVinDiT.tiny()
KEY = jax.random.key(2)


def stored(**context):
  return field.replace(
    TINY,
    tasks=dict(source="stored", stored=3),
    context=dict(pairs=2, **context),
  )


@pytest.fixture(scope="module")
def given(fill, normal):
  """Weights of a network that does something, pictures, draws."""
  batch = {"video": np.tanh(normal(3, 3, 8, 8, 3))}
  weights = methods.Weights(fill(TINY, batch, scale=0.4)[0])
  return weights, batch, TINY.drawn(jax.random.key(1), batch)


def test_the_loss_is_squared_and_absolute_error_of_the_velocity(given):
  weights, batch, draws = given
  loss, aux = jax.jit(TINY.loss)(weights, batch, draws, 0)
  told = TINY.tasks.told(batch, draws)["video"]
  context, x = TINY.context.split(told)
  context, mask = TINY.context.hidden(context, draws)
  u = draws["t"][:, None, None, None, None]
  noisy = u * x + (1 - u) * draws["noise"]
  v = TINY.net.apply(
    {"params": weights.params["main"]}, noisy, draws["t"], context, mask
  )["pred"]
  gap = np.asarray(v - (x - draws["noise"]))
  np.testing.assert_allclose(aux["loss_flow"], (gap**2).mean(), rtol=1e-5)
  np.testing.assert_allclose(
    loss, (gap**2).mean() + 0.1 * np.abs(gap).mean(), rtol=1e-5
  )


def test_a_fresh_network_s_loss_is_that_of_no_velocity(given):
  _, batch, draws = given
  fresh = methods.Weights(TINY.init(jax.random.key(0), batch)[0])
  _, aux = TINY.loss(fresh, batch, draws, 0)
  x = TINY.context.split(TINY.tasks.told(batch, draws)["video"])[1]
  w = np.asarray(x - draws["noise"])
  np.testing.assert_allclose(aux["loss_flow"], (w**2).mean(), rtol=1e-5)
  np.testing.assert_allclose(aux["loss_l1"], np.abs(w).mean(), rtol=1e-5)


def test_pairs_of_one_task_and_the_query_last(given):
  _, batch, draws = given
  told = TINY.tasks.told(batch, draws)["video"]
  inputs, targets = TINY.tasks.pairs(batch["video"], draws)
  np.testing.assert_array_equal(told[:, ::2], inputs)
  np.testing.assert_array_equal(told[:, 1::2], targets)


def test_dropped_contexts_in_training_are_the_null_of_sampling(given):
  """A hidden context and a shorter one are one loss."""
  weights, batch, draws = given
  dropped = draws | {"context_drop": jnp.ones(3, bool)}
  loss, _ = TINY.loss(weights, batch, dropped, 0)
  context, x = TINY.context.split(TINY.tasks.told(batch, draws)["video"])
  noisy, _, _ = TINY.noise.add(x, draws["t"], draws["noise"])
  null = in_context.null(context)
  v = TINY.network(weights.params, noisy, draws["t"], null)
  wanted, _ = TINY.compared(v, x, draws)
  np.testing.assert_allclose(loss, wanted, rtol=1e-5)


def test_guidance_is_two_passes_of_unequal_length(given):
  weights, batch, draws = given
  context, _ = answers.frames(TINY, weights, batch, draws)

  def answer(scale, context=context):
    guided = field.replace(TINY, sampling=dict(guidance=scale, steps=3))
    return np.asarray(
      answers.answer(guided, weights, context, batch=batch, key=KEY)
    )

  null = in_context.null(context)
  np.testing.assert_allclose(answer(0.0), answer(1.0, null), atol=1e-5)
  # One call: x0 is on the line of both.
  x = jax.random.normal(KEY, (3, *TINY.shape))
  level = jax.tree.map(lambda a: a[1], TINY.noise.table(TINY.sampling).level)
  network = functools.partial(TINY.network, weights.params)
  output = functools.partial(TINY.noise.output, channels=3, clip=0.0)

  def call(scale, *condition):
    sampling = dataclasses.replace(TINY.sampling, guidance=scale)
    options = dict(condition=condition, end=1.0, channels=3)
    return sampling.denoiser(network, output, **options)(x, level).x0

  cond, none = call(1.0, context, null), call(1.0, null, null)
  assert np.abs(cond - none).max() > 1e-3
  np.testing.assert_allclose(
    call(1.5, context, null), none + 1.5 * (cond - none), atol=1e-5
  )


def test_samples_do_not_depend_on_their_batch(given):
  weights, batch, _ = given
  batch = batch | {"index": jnp.array([4, 5, 6])}
  every = TINY.predict()["sample"](weights, batch, KEY)
  last = {name: a[2:] for name, a in batch.items()}
  alone = TINY.predict()["sample"](weights, last, KEY)
  np.testing.assert_allclose(every[2:], alone, atol=1e-4)


def test_solved_shows_pairs_query_answer_and_truth(given):
  weights, batch, _ = given
  one = field.replace(TINY, tasks=dict(task="invert"))
  found = np.asarray(one.predict()["solved"](weights, batch, KEY))
  x = batch["video"]
  np.testing.assert_array_equal(found[:, 0], x[:, 0])
  np.testing.assert_array_equal(found[:, 3], -x[:, 1])
  np.testing.assert_array_equal(found[:, 4], x[:, 2])
  made = one.predict()["sample"](weights, batch, KEY)
  np.testing.assert_allclose(found[:, 5:6], made, atol=1e-5)
  np.testing.assert_array_equal(found[:, 6], -x[:, 2])
  fewer = field.replace(one, context=dict(shown=1))
  assert fewer.predict()["solved"](weights, batch, KEY).shape[1] == 5


def test_errors_of_right_wrong_and_fewer_pairs(given):
  weights, batch, _ = given
  new = field.replace(TINY, tasks=dict(new=True))
  batch = batch | {"label": jnp.array([0, 1, 0])}
  found = new.predict()["errors"](weights, batch, KEY)
  assert set(found) == {
    *("right", "wrong", "copy", "pairs_1", "new", "new_copy")
  }
  draws = new.drawn(KEY, batch)
  inputs, targets = new.tasks.pairs(batch["video"], draws)
  gap = np.square(inputs[:, -1] - targets[:, -1]).mean((1, 2, 3))
  np.testing.assert_allclose(found["copy"], gap, rtol=1e-5)
  assert (np.abs(found["right"] - found["wrong"]) > 1e-5).all()
  assert (np.abs(found["right"] - found["pairs_1"]) > 1e-5).all()
  np.testing.assert_array_equal(found["new"][::2], 0)


def test_each_task_alone_has_its_errors(given):
  weights, batch, _ = given
  found = TINY.predict()["by_task"](weights, batch, KEY)
  names = TINY.tasks.names
  assert set(found) == {
    f"{n}/{what}" for n in names for what in ("right", "wrong", "copy")
  }
  np.testing.assert_array_equal(found["identity/copy"], 0)
  wanted = 4 * (batch["video"][:, -1] ** 2).mean((1, 2, 3))
  np.testing.assert_allclose(found["invert/copy"], wanted, rtol=1e-5)


def test_stored_pairs_are_read_as_they_are(given, normal):
  weights, _, _ = given
  batch = {"video": np.tanh(normal(2, 6, 8, 8, 3))}
  batch |= {"label": jnp.array([0, 2])}
  m = stored()
  assert m.inputs()["video"].shape == (6, 8, 8, 3)
  assert m.inputs()["label"].high == 3
  assert m.tasks.told(batch, {}) is batch
  found = m.predict()["errors"](weights, batch, KEY)
  assert set(found) == {"right", "pairs_1", "copy"}
  gap = np.square(batch["video"][:, 4] - batch["video"][:, 5]).mean((1, 2, 3))
  np.testing.assert_allclose(found["copy"], gap, rtol=1e-5)
  assert "by_task" not in m.predict()


def test_targets_of_several_frames(given, normal, fill):
  m = stored(target_frames=2)
  batch = {"video": normal(2, 9, 8, 8, 3), "label": jnp.array([0, 2])}
  assert m.inputs()["video"].shape == (9, 8, 8, 3)
  weights = methods.Weights(fill(m, batch, scale=0.4)[0])
  draws = m.drawn(KEY, batch)
  assert draws["noise"].shape == (2, 2, 8, 8, 3)
  loss, _ = m.loss(weights, batch, draws, 0)
  assert np.isfinite(loss)
  found = m.predict()["solved"](weights, batch, KEY)
  np.testing.assert_allclose(found[:, -2:], batch["video"][:, -2:], atol=1e-6)


def test_samples_of_templates_ignore_the_pairs_of_the_example(given):
  weights, batch, _ = given
  m = field.replace(TINY, context=dict(templates="a file", each=2, shown=4))
  sides = (8, 8, 3)
  const = m.consts()["templates"]
  tree = const.init(jax.random.key(0))
  assert tree["pairs"].shape == (len(m.tasks.names), 2, 2, *sides)
  assert const.key == "method.context.templates"
  own = dataclasses.replace(weights, consts={"templates": tree})
  made = m.predict()["sample"](own, batch, KEY)
  assert m.predict()["solved"](own, batch, KEY).shape[1] == 4 * 2 + 1 + 2
  others = {"video": batch["video"].copy()}
  others["video"][:, :-1] *= -1
  np.testing.assert_allclose(
    m.predict()["sample"](own, others, KEY), made, atol=1e-6
  )
  tree = {"pairs": tree["pairs"][::-1]}
  moved = dataclasses.replace(weights, consts={"templates": tree})
  assert np.abs(m.predict()["sample"](moved, batch, KEY) - made).max() > 1e-4


def test_a_first_stage_codes_frame_by_frame(fill, normal):
  """Of pictures, or the causal one of clips."""
  for stage, code in (
    (dict(variant="kl-f4", width=32, blocks=1), 3),
    (dict(variant="adaptive-f2x4", width=32, by_frame=True), 8),
  ):
    m = field.replace(
      TINY,
      size=4,
      channels=code,
      dims=dict(patch=2),
      first_stage=dict(path="a run", read="images", **stage),
    )
    assert m.inputs()["video"].shape == (3, 16, 16, 3)
    batch = {"video": np.tanh(normal(2, 3, 16, 16, 3))}
    consts = m.consts()["first_stage"].init(jax.random.key(0))
    params = fill(m, batch, scale=0.4)[0]
    weights = methods.Weights(params, consts={"first_stage": consts})
    loss, _ = m.loss(weights, batch, m.drawn(KEY, batch), 0)
    assert np.isfinite(loss)
    assert m.predict()["sample"](weights, batch, KEY).shape == (2, 1, 16, 16, 3)
    whole, _ = answers.frames(m, weights, batch, m.drawn(KEY, batch))
    changed = {"video": batch["video"].copy()}
    changed["video"][:, 0] += 0.5
    other, _ = answers.frames(m, weights, changed, m.drawn(KEY, batch))
    np.testing.assert_allclose(other[:, 2:], whole[:, 2:], atol=1e-5)
    assert np.abs(other[:, :2] - whole[:, :2]).max() > 1e-4


def test_a_first_stage_without_weights_draws_no_samples():
  m = field.replace(TINY, size=4, channels=3, first_stage=dict(variant="kl-f4"))
  m = field.replace(m, tasks=dict(source="stored"), dims=dict(patch=2))
  assert m.predict() == {} and "moments" in m.inputs()


@pytest.mark.parametrize(
  "changes, message",
  [
    (
      dict(channels=8, first_stage=dict(variant="adaptive-f2x4")),
      "first_stage.by_frame=True",
    ),
    (dict(sampling=dict(steps=20)), "sampling.steps 20"),
    (dict(context=dict(drop=0.0)), "with context.drop=0"),
    (dict(dims=dict(width=32)), "dims.width 32"),
    (dict(tasks=dict(trained=("flip", "turn"))), "tasks: turn"),
  ],
)
def test_what_does_not_fit_is_refused_by_name(changes, message):
  with pytest.raises(ValueError, match=message):
    field.replace(TINY, **changes).inputs()


def test_every_task_can_be_learned_by_name():
  m = field.replace(
    TINY, tasks=dict(trained=tuple(visual_tasks.TASKS), held_out=())
  )
  assert len(m.tasks.names) == 12 and m.inputs()
