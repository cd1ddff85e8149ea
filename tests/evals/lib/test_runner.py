import contextlib

import evalkit
import jax
import numpy as np
import pytest

from jmim.evals import loss
from jmim.evals import mean
from jmim.evals.lib import base
from jmim.evals.lib import finite
from jmim.evals.lib import runner
from jmim.runlog import readings

KEYS = (
  "name",
  "train_split",
  "eval_split",
  "eval_share",
  "eval_crop",
  "eval_resize",
  "kernel",
  "size",
  "channels",
  "mean",
  "std",
)


class Recorder:
  """A console and a writer that remember."""

  def __init__(self):
    self.lines, self.rows, self.printed, self.pictures = [], [], [], []
    self.heads = []

  def print(self, text, style=None):
    self.printed.append(text)

  @contextlib.contextmanager
  def busy(self, text):
    self.printed.append(text)
    yield

  def table(self, title, header, rows):
    self.rows += rows

  def scalars(self, step, values, **details):
    self.lines.append((step, values, details))

  def head(self, step, name, **content):
    self.heads.append((step, name, content))

  def image(self, step, name, pixels):
    self.pictures.append((step, name, pixels))
    return f"{name}.png"


class Adds(base.Evaluator):
  def run(self, context):
    yield "value", 1.5
    yield "picture", np.zeros((2, 2, 3), np.uint8)
    yield "protocol", {"weights_file": "sha256:abc", "reference": {"n": 3}}


class Breaks(base.Evaluator):
  def run(self, context):
    yield "before", 1.0
    finite.check(np.array([[1.0], [np.nan]]))
    yield "value", 2.0


def run(recorder, writer, evaluators=None):
  context = evalkit.context()
  raw = context.weights("raw")
  numbers = runner.run(
    evaluators or {"a": Adds()},
    context,
    state=evalkit.state(raw.params, raw.extra, step=4),
    console=recorder,
    writer=writer,
    data={k: 0 for k in KEYS},
  )
  return numbers, context


def test_every_result_line_has_its_protocol_and_what_the_run_added():
  seen = Recorder()
  numbers, _ = run(seen, seen)
  assert numbers == {"a/value": 1.5}
  assert seen.printed[0] == "evaluating a (1 of 1)"
  ((step, values, details),) = seen.lines
  assert step == 4 and values == numbers and details["eval"] == "a"
  protocol = details["protocol"]
  assert protocol["weights_file"] == "sha256:abc"
  assert protocol["reference"] == {"n": 3}
  for key in ("data.kernel", "data.mean", "weights", "predict", "seed", "git"):
    assert key in protocol, key
  assert seen.rows == [("a/value", "1.5000")]
  told = ["a/picture: a/picture.png", "a weights_file: sha256:abc"]
  assert seen.printed[1:] == told
  assert [(s, n) for s, n, _ in seen.pictures] == [(4, "a/picture")]


class Fits(base.Evaluator):
  def run(self, context):
    kernel, bias = np.ones((3, 2)), np.zeros(2)
    yield (
      "head",
      base.Head(predict="cls", weights="ema", kernel=kernel, bias=bias),
    )
    yield "value", 1.0


def test_a_head_is_kept_by_the_name_of_its_evaluator_and_no_number():
  seen = Recorder()
  assert run(seen, seen, {"a": Fits()})[0] == {"a/value": 1.0}
  ((step, name, content),) = seen.heads
  assert (step, name, content["weights"]) == (4, "a", "ema")
  assert content["kernel"].shape == (3, 2) and not seen.pictures
  assert run(Recorder(), None, {"a": Fits()})[0] == {"a/value": 1.0}


def test_without_a_writer_nothing_is_written():
  seen = Recorder()
  numbers, _ = run(seen, None)
  assert numbers == {"a/value": 1.5} and not seen.lines and not seen.pictures
  assert "a/picture: picture not written" in seen.printed


def test_the_state_is_forgotten_afterwards():
  _, context = run(Recorder(), None)
  assert context.step == 4
  assert not context._weights and not context._memo


def test_keys_that_nobody_set_are_in_no_protocol():
  data = {k: k for k in KEYS}
  plain = runner.protocol(Adds(), data | {"group": "", "members": 0}, 7)
  assert plain == runner.protocol(Adds(), data, 7)
  for some in ({"group": "clip", "members": 2}, {"box": (1, 2, 3, 4)}):
    told = {f"data.{key}": value for key, value in some.items()}
    assert runner.protocol(Adds(), data | some, 7) == plain | told
  nothing = {"height": 0, "box": ()}
  assert runner.protocol(Adds(), data | nothing, 7) == plain
  tall = runner.protocol(Adds(), data | {"height": 8}, 7)
  assert tall == plain | {"data.height": 8}


def test_the_type_of_a_protocol_is_the_module_of_the_evaluator():
  found = runner.protocol(Adds(predict="cls"), {k: k for k in KEYS}, 7)
  assert found["type"] == Adds.__module__
  assert found["predict"] == "cls" and found["seed"] == 7
  assert found["data.eval_crop"] == "eval_crop"


def test_what_is_not_computed_is_said_and_the_rest_goes_on():
  seen = Recorder()
  numbers, _ = run(seen, seen, {"a": Breaks(), "b": Adds()})
  assert numbers == {"a/before": 1.0, "b/value": 1.5}
  said = "the outputs of 1 of 2 examples are NaN or infinite"
  assert f"a: not computed: {said}" in seen.printed
  protocols = [details["protocol"] for _, _, details in seen.lines]
  assert protocols[0]["not_computed"] == f"a: {said}"
  assert "not_computed" not in protocols[1]


class Compared(base.Evaluator):
  reads = (("mse", readings.LESS),)

  def run(self, context):
    yield "mse", 0.25
    yield "mse_nearest", 0.5


def test_reference_lines_stand_beside_their_number_and_in_a_sentence():
  seen = Recorder()
  run(seen, seen, {"a": Compared()})
  assert seen.rows == [("a/mse", "0.2500", "nearest 0.5000")]
  told = "better than the nearest visible pixel, 0.2500 against 0.5000"
  assert seen.printed[1:] == [f"a/mse: {told}"]
  ((_, _, details),) = seen.lines
  assert details["reads"]["mse"] == ["", "lower"]


class Diverged(base.Evaluator):
  def run(self, context):
    yield "mean", float("nan")
    yield "nats", np.float32(np.inf)
    yield "examples", 3


def test_what_is_no_number_is_not_written_as_one():
  seen = Recorder()
  numbers, _ = run(seen, seen, {"a": Diverged()})
  assert numbers == {"a/examples": 3}
  assert "a/mean: not computed: it is nan" in seen.printed
  ((_, values, details),) = seen.lines
  assert values == numbers
  said = details["protocol"]["not_computed"]
  assert said == "a/mean: it is nan; a/nats: it is inf"


@pytest.mark.parametrize(
  "evaluator", [loss.Evaluator(), mean.Evaluator(predict="layers")]
)
def test_of_weights_that_are_nan_no_number_is_made(evaluator):
  seen, context = Recorder(), evalkit.context()
  raw = context.weights("raw")
  params = jax.tree.map(lambda x: x * np.nan, raw.params)
  made = lambda params: runner.run(
    {"a": evaluator},
    context,
    state=evalkit.state(params, raw.extra, step=4),
    console=seen,
    writer=None,
    data={k: 0 for k in KEYS},
  )
  whole = made(raw.params)
  assert len(whole) > 1 and np.isfinite([*whole.values()]).all()
  assert made(params).keys() == {"a/examples"}
