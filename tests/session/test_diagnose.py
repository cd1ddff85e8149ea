"""What went wrong in a step."""

import json
import types

import jax.numpy as jnp
import pytest

from jmim.session import diagnose
from jmim.session import restore
from jmim.session import session as sessions


class Examples:
  """Batches that know only which examples are in them."""

  def __init__(self, n):
    self.n = n

  def examples(self, step):
    return [100 * step + i for i in range(self.n)]


@pytest.mark.parametrize(
  "n, text", [(2, "examples 300, 301;"), (9, "305, 306, 307, ...;")]
)
def test_the_first_examples_are_named_and_how_to_look_at_them(n, text):
  line = diagnose.describe(Examples(n), 3)
  assert text in line and line.endswith("--mode=eval --replay_step=3")


def test_what_is_not_finite_is_named_leaf_by_leaf(toy, trained):
  with sessions.open(toy, trained, write=False) as session:
    restored = restore.before(session, 5)
    program, batches = restored.program, restored.batches
    state = restored.point.state
    assert diagnose.not_finite(program, batches, state, 5) == []
    params = dict(state.params)
    dense = dict(params["discriminator"]["dense"], bias=jnp.array([jnp.nan]))
    params["discriminator"] = {"dense": dense}
    names = diagnose.not_finite(
      program, batches, state.replace(params=params), 5
    )
  assert "params/discriminator/dense/bias" in names
  assert "metrics/loss/generator" in names  # which it judges
  assert not any(name.startswith(("batch", "draws")) for name in names)


def keeper(*steps):
  """That of a run with such checkpoints."""
  store = types.SimpleNamespace(steps=lambda: [*steps])
  return types.SimpleNamespace(store=store)


@pytest.mark.parametrize("writes", [True, False])
def test_a_run_that_diverged_leaves_the_examples_of_its_steps(
  tmp_path, monkeypatch, writes
):
  monkeypatch.setattr(diagnose, "not_finite", lambda *args: ["grads/x"])
  session = types.SimpleNamespace(
    writes=writes, workdir=tmp_path, keeper=keeper(2, 5, 6)
  )
  ready = types.SimpleNamespace(program=None, batches=Examples(2))
  error = diagnose.diverged(session, ready, None, step=7, skipped=2)
  assert "steps 6 to 7" in str(error) and "grads/x" in str(error)
  assert "from checkpoint 5" in str(error)
  path = tmp_path / "diverged.json"
  assert path.exists() == writes
  if writes:
    assert json.loads(path.read_text()) == {
      "steps": [6, 7],
      "not_finite": ["grads/x"],
      "examples": {"6": [600, 601], "7": [700, 701]},
    }


def test_a_report_that_cannot_be_written_hides_no_error(tmp_path, monkeypatch):
  monkeypatch.setattr(diagnose, "not_finite", lambda *args: [])
  warnings = []
  session = types.SimpleNamespace(
    writes=True,
    workdir=tmp_path / "gone",
    warn=warnings.append,
    keeper=keeper(),
  )
  ready = types.SimpleNamespace(program=None, batches=Examples(1))
  error = diagnose.diverged(session, ready, None, step=1, skipped=1)
  assert "steps 1 to 1" in str(error)
  assert len(warnings) == 1 and "diverged.json not written" in warnings[0]
