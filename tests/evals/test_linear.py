import evalkit
import jax
import numpy as np

from jmim.evals import accuracy
from jmim.evals import attentive
from jmim.evals import linear
from jmim.evals.lib import frozen


def probe(**changes):
  given = {
    "predict": ("cls", "layers"),
    "lrs": (32.0, 1.0),
    "epochs": 30.0,
    "warmup_epochs": 1.0,
    "trust": 0.1,
    **changes,
  }
  return linear.Evaluator(**given)


def test_a_grid_gives_each_head_what_it_gets_alone():
  together = dict(probe().run(evalkit.context()))
  wanted = {"top1", "examples"} | {
    f"{name}_lr{lr}"
    for name in ("cls", "layers/first", "layers/wide")
    for lr in (32, 1)
  }
  assert set(together) == wanted
  alone = dict(probe(predict=("cls",), lrs=(1.0,)).run(evalkit.context()))
  np.testing.assert_allclose(alone["cls_lr1"], together["cls_lr1"], rtol=1e-6)
  assert together["top1"] == max(v for k, v in together.items() if "_lr" in k)
  assert together["top1"] > 70 and together["examples"] == 21


def test_eight_devices_equal_one():
  one = dict(probe(batch=16).run(evalkit.context(5, devices=1)))
  eight = dict(probe(batch=16).run(evalkit.context(8)))
  assert one == eight


def test_attentive_probe_learns_and_counts_all():
  evaluator = attentive.Evaluator(lrs=(3e-2, 1e-6), heads=2, epochs=12.0)
  values = dict(evaluator.run(evalkit.context()))
  assert values["lr0.03"] == values["top1"] > 70
  assert values["lr1e-06"] < values["top1"] and values["examples"] == 21


def test_replay_shows_every_example_once_an_epoch():
  context = evalkit.context()
  outputs = {"x": np.arange(10, dtype=np.float32)}
  batches = frozen.replay(
    context, outputs, targets=np.arange(10), batch=4, steps=5
  )
  seen = []
  for found, targets in batches:
    np.testing.assert_array_equal(found["x"], targets)
    seen += list(np.asarray(targets))
  first, second = seen[:10], seen[10:]
  assert sorted(first) == sorted(second) == list(range(10))
  assert first != second


def test_losses_of_heads_are_means_over_everything_else():
  rng = np.random.default_rng(0)
  logits = rng.normal(size=(2, 3, 4, 5)).astype(np.float32)
  labels = rng.integers(0, 5, (3, 4))
  logs = np.log(np.exp(logits) / np.exp(logits).sum(-1, keepdims=True))
  want = (
    -np.take_along_axis(logs, np.broadcast_to(labels, (2, 3, 4))[..., None], -1)
    .mean((1, 2, 3))
    .sum()
  )
  got = frozen.soft_losses(logits, jax.numpy.asarray(labels))
  np.testing.assert_allclose(got, want, rtol=1e-5)


def test_accuracy_of_logits_by_hand():
  context = evalkit.context()
  logits, labels = context.features("logits", "eval", None, "raw")
  assert len(labels) == 21
  odds = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  values = dict(accuracy.Evaluator().run(context))
  np.testing.assert_allclose(
    values["top1"], 100 * (odds.argmax(1) == labels).mean()
  )
  np.testing.assert_allclose(
    values["nll"], -np.log(odds[np.arange(21), labels]).mean(), rtol=1e-5
  )
  assert "top5" not in values and values["examples"] == 21
