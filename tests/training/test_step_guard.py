"""What a step does when a loss or a gradient is not finite: nothing."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import toys

PARTS = ("params", "opt", "ema", "extra", "window", "counted")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cliff(toys.MLP):
  """From step 1 on, the loss is finite and its gradient is not; no extra."""

  def loss(self, weights, batch, draws, step, player="main"):
    value, aux = super().loss(weights, batch, draws, step, player=player)
    kernel = weights.params["main"]["head"]["kernel"]
    return value + jnp.sqrt(0.0 * kernel.sum() + (step < 1)), aux


@dataclasses.dataclass(frozen=True, kw_only=True)
class BadTarget(toys.Momentum):
  """At step 1 only `extra` is not finite."""

  def after(self, weights, aux, step, player="main"):
    extra = super().after(weights, aux, step, player)
    broken = jnp.where(step == 1, jnp.nan, 0.0)
    return extra | {"target": extra["target"] + broken}


@functools.cache  # compiled once for all tests
def started(toy, accumulate=1):
  """(good batch, jitted step, fresh state)."""
  batch = toys.make_batch(toy)
  own = dict.fromkeys(toy.players, {"name": "adamw"})
  made = toys.make_step(toy, batch, own, ema_decay=0.9, accumulate=accumulate)
  return batch, jax.jit(made), jax.jit(made.init)(batch, {})


def spoilt(batch, value):
  """One pixel of one image is not finite."""
  return {"image": batch["image"].at[3, 0, 0, 0].set(value)}


def assert_untouched(new, old):
  """Bit by bit, whatever the dtype."""
  for part in PARTS:
    a, b = getattr(new, part), getattr(old, part)
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
      assert np.asarray(x).tobytes() == np.asarray(y).tobytes(), part


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("accumulate", [1, 4])
@pytest.mark.parametrize("toy", [toys.Momentum(), toys.Adversarial()])
def test_a_bad_batch_changes_the_step_counter_and_nothing_else(
  toy, accumulate, value
):
  batch, step, state = started(toy, accumulate)
  state, _ = step(state, {}, batch)
  new, metrics = step(state, {}, spoilt(batch, value))
  assert_untouched(new, state)
  counters = int(new.step), int(new.skipped), int(new.skipped_total)
  assert counters == (2, 1, 1)
  losses = [v for k, v in metrics.items() if k.startswith("loss")]
  assert not np.all(np.isfinite(losses))


@pytest.mark.parametrize("toy", [Cliff(width=2, depth=1), BadTarget()])
def test_a_bad_gradient_or_extra_is_enough(toy):
  batch, step, state = started(toy)
  state, _ = step(state, {}, batch)
  assert int(state.skipped_total) == 0
  new, metrics = step(state, {}, batch)
  assert np.isfinite(metrics["loss"])
  assert_untouched(new, state)
  assert int(new.skipped) == 1


def test_a_bad_second_player_undoes_the_first():
  toy = toys.Adversarial()
  batch, step, state = started(toy)
  # The generator does not look at the images: its own move was fine.
  new, metrics = step(state, {}, spoilt(batch, np.nan))
  assert np.isfinite(metrics["loss/generator"])
  assert not np.isfinite(metrics["loss/discriminator"])
  assert_untouched(new, state)


def test_counters_over_good_and_bad_steps():
  toy = toys.Momentum()
  batch, step, state = started(toy)
  bad = spoilt(batch, np.inf)
  seen = []
  for data in (batch, bad, bad, batch, bad):
    state, _ = step(state, {}, data)
    seen.append((int(state.skipped), int(state.skipped_total)))
  assert seen == [(0, 0), (1, 1), (2, 2), (0, 2), (1, 3)]
  assert int(state.step) == 5 and int(state.counted) == 2
  assert all(np.isfinite(v) for v in state.window.values())


def test_training_goes_on_as_if_the_bad_step_had_drawn_nothing_else():
  toy = toys.Momentum()
  batch, step, state = started(toy)
  skipped, _ = step(state, {}, spoilt(batch, np.nan))
  after, metrics = step(skipped, {}, batch)
  moved, expected = step(state.replace(step=jnp.int32(1)), {}, batch)
  assert float(metrics["loss"]) == float(expected["loss"])
  assert_untouched(after, moved)
