"""Which steps are traced, and what a trace is read as."""

import types

import jax
import jax.numpy as jnp
import pytest

from jmim.core import errors
from jmim.cost import profile
from jmim.runlog import console


def test_steps_are_both_meant():
  assert list(profile.steps("10:13", 20)) == [10, 11, 12, 13]
  assert list(profile.steps("20:20", 20)) == [20]
  assert not profile.steps("", 20)


@pytest.mark.parametrize("text", ["10", "13:10", "0:3", "5:21", "a:b", "1:2:3"])
def test_other_forms_are_mistakes(text):
  with pytest.raises(errors.UserError) as e:
    profile.steps(text, 20)
  assert e.value.key == "train.profile_steps"


def event(name, start, end, op=None):
  stats = [("other", 1)] + ([("hlo_op", op)] if op else [])
  return types.SimpleNamespace(
    name=name, start_ns=start, duration_ns=end - start, stats=stats
  )


def planes(**lines):
  lines = [types.SimpleNamespace(name=n, events=e) for n, e in lines.items()]
  return [types.SimpleNamespace(lines=lines)]


def test_time_within_another_operation_is_its_own():
  thread = [
    event("python", 0, 9e9),  # no operation of a program
    event("x", 1e9, 8e9, "while.1"),
    event("x", 2e9, 4e9, "dot.2"),
    event("x", 4e9, 7e9, "dot.2"),
    event("x", 5e9, 6e9, "tanh.3"),
    event("x", 8e9, 9e9, "dot.2"),
  ]
  found = profile.times(planes(thread=thread, other=[thread[2]]))
  assert found == {
    "while.1": (2.0, 1),
    "dot.2": (2.0 + 2.0 + 1.0 + 2.0, 4),
    "tanh.3": (1.0, 1),
  }


def test_events_of_a_tpu_are_operations():
  line = [event("%fusion.3 = f32[8] fusion(%a)", 0, 2e9)]
  found = profile.times(planes(**{"XLA Ops": line, "Steps": line}))
  assert found == {"fusion.3": (2.0, 1)}


def test_an_operation_is_told_by_its_part_of_the_model():
  program = (
    "%dot.2 = f32[4]{0} dot(%a), "
    'metadata={op_name="jit(step)/encoder/qkv/dot_general" source_line=3}\n'
    '  ROOT fusion.7 = f32[] fusion(%b), metadata={op_name="jit(step)/sum"}\n'
    "%copy.1 = f32[] copy(%c)\n"
  )
  found = profile.sources(program)
  assert found == {"dot.2": "encoder/qkv/dot_general", "fusion.7": "sum"}
  rows = profile.rows({"copy.1": (1.0, 4), "dot.2": (3.0, 2)}, found, 2, 9)
  assert rows == [
    ("dot.2", "encoder/qkv/dot_general", "1.5e+03", "75.0%", "1"),
    ("copy.1", "", "500", "25.0%", "2"),
  ]


def test_a_real_trace_has_the_operations_of_the_steps_wanted(tmp_path, capsys):
  step = jax.jit(lambda x: jnp.tanh(x @ x)).lower(jnp.ones((64, 64))).compile()
  traced = profile.Profile(profile.steps("3:4", 9), tmp_path / "profile")
  x = jnp.ones((64, 64))
  try:
    for i in range(1, 6):
      traced.before(i, x)
      x = step(x)
      if traced.ends(i):
        assert i == 4
        path = traced.end(x)
  finally:  # a trace that went on would slow down all other tests
    traced.close()
  shown = console.Console()
  profile.show(shown, path, step.as_text(), traced.count)
  out = capsys.readouterr().out
  assert "trace of 2 steps" in out and "dot_general" in out
  spent = profile.times(jax.profiler.ProfileData.from_file(str(path)).planes)
  # The name is the compiler's choice (dot.2, ynn_fusion); the part is not.
  parts = profile.sources(step.as_text())
  runs = {parts.get(name, name): n for name, (_, n) in spent.items()}
  assert runs == {"dot_general": 2, "tanh": 2}  # once in each step
