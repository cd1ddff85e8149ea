import numpy as np
import pytest

from jmim.methods.parts import task_mixture

M = task_mixture.Mixture(steps=1000)
EVERY = np.stack([np.asarray(M.at(s)) for s in range(0, 1001, 5)])


def test_weights_sum_to_one_at_any_time():
  np.testing.assert_allclose(EVERY.sum(1), 1, atol=1e-6)


@pytest.mark.parametrize(
  ("step", "want"),
  [
    (0, (0.73, 0.18, 0.09)),
    (240, (0.73, 0.18, 0.09)),
    (500, (0.18, 0.73, 0.09)),
    (760, (0.18, 0.09, 0.73)),
    (5000, (0.18, 0.09, 0.73)),
  ],
)
def test_shares_between_the_switches(step, want):
  np.testing.assert_allclose(M.at(step), want, atol=1e-5)


@pytest.mark.parametrize(("step", "pair"), [(300, (0, 1)), (700, (1, 2))])
def test_the_leader_changes_at_the_switches(step, pair):
  before, after = (np.asarray(M.at(s)) for s in (step - 1, step + 1))
  assert (before.argmax(), after.argmax()) == pair
  there = np.asarray(M.at(step))
  np.testing.assert_allclose(there[pair[0]], there[pair[1]], rtol=1e-3)


def test_a_curriculum_is_as_long_as_the_run():
  assert M.lengths("mix") == {"mix.steps": 1000}
  assert task_mixture.Mixture(name="fixed").lengths("mix") == {}


def test_changes_are_smooth():
  # In 10 % of the steps a weight goes from 0.18 to 0.73.
  assert abs(np.diff(EVERY, axis=0)).max() < 0.06


def test_fixed_weights_say_which_tasks_there_are():
  fixed = task_mixture.Mixture(name="fixed", weights=(0, 2, 0.5))
  assert fixed.used == ("next", "all")
  np.testing.assert_array_equal(fixed.at(3), [0, 2, 0.5])
  assert fixed.inputs == ("prefix",)
  assert M.used == task_mixture.TASKS and M.inputs == ("random", "prefix")


@pytest.mark.parametrize("weights", [(1, 1), (0, 0, 0), (1, -1, 1)])
def test_weights_that_are_none_are_errors(weights):
  with pytest.raises(ValueError, match="mixture.weights"):
    task_mixture.Mixture(name="fixed", weights=weights).check()
