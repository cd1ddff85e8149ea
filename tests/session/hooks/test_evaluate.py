"""Which evaluators run when; what they see before the first step."""

import json
import types

import jax
import numpy as np
import pytest

from jmim.evals.lib import runner
from jmim.parallel import hosts
from jmim.session import restore
from jmim.session import session as sessions
from jmim.session import watchdog
from jmim.session.hooks import evaluate


@pytest.fixture
def hook(tmp_path, monkeypatch):
  """Of evaluators that run every 3 steps, and at the end of 7."""
  parts = types.SimpleNamespace(
    evaluators={"often": ("evaluator", 3), "once": ("other", 0)}, total=7
  )
  session = types.SimpleNamespace(
    parts=parts,
    workdir=tmp_path,
    group=hosts.Group(),
    watch=watchdog.nobody(),
  )
  monkeypatch.setattr(evaluate, "make_context", lambda *args: None)
  return evaluate.Evaluate(session, None, None, None)


def test_each_has_its_turn(hook):
  assert hook.every == {"often": 3, "once": 0}
  due = {step: hook.due(step) for step in range(1, 8)}
  assert {k: v for k, v in due.items() if v} == {
    3: ["often"],
    6: ["often"],
    7: ["often", "once"],
  }


def test_what_did_not_end_is_missed(hook, tmp_path):
  lines = [
    {"step": 3, "eval": "often"},
    {"step": 6},
    {"step": 7, "eval": "once"},
  ]
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (tmp_path / "metrics.jsonl").write_text(text)
  missed = {step: hook.missed(step) for step in (0, 3, 5, 6, 7)}
  assert missed == {0: [], 3: [], 5: [], 6: ["often"], 7: ["often"]}


def test_the_numbers_are_for_the_choice_of_the_best(hook, monkeypatch):
  recorded = []
  session = hook._session
  session.console, session.parts.config = None, types.SimpleNamespace(data={})
  session.keeper = types.SimpleNamespace(
    record_metric=lambda *args: recorded.append(args)
  )
  hook._context = types.SimpleNamespace(step=3)

  def run(evaluators, context, *, state, **more):
    assert evaluators == {"often": "evaluator"} and state == "state"
    return {"often/x": 1.0}

  monkeypatch.setattr(runner, "run", run)
  hook.run(["often"], "state")
  assert recorded == [(3, {"often/x": 1.0})]


def test_untrained_weights_are_those_before_the_first_step(toy, trained):
  with sessions.open(toy, trained, write=False) as session:
    restored = restore.only_weights(session)
    program, batches = restored.program, restored.batches
    params, extra = evaluate._fresh(program, batches)
    first = program.init(batches.peek())  # of any batch: shapes matter only
  for a, b in zip(
    jax.tree.leaves((params, extra)),
    jax.tree.leaves((first.params, first.extra)),
    strict=True,
  ):
    np.testing.assert_array_equal(a, b)
  kernel = restored.point.state.params["generator"]["dense"]["kernel"]
  assert np.any(params["generator"]["dense"]["kernel"] != kernel)
