import evalkit
import numpy as np
import pytest

from jmim.evals import experts

E, LAYERS, T, K = 4, 2, 6, 2


def choices(n, rng, position=False):
  """Layer 0 follows the class (or position), layer 1 is random."""
  label = rng.integers(0, E, n)
  first = np.broadcast_to(label[:, None], (n, T))
  if position:
    first = np.broadcast_to(np.arange(T) % E, (n, T))
  layers = np.stack([first, rng.integers(0, E, (n, T))], 1)
  chosen = np.stack([layers, (layers + 1) % E], -1)
  return {"chosen": chosen, "time": rng.uniform(size=n), "label": label}


def run(outputs, **fields):
  """The evaluator over given outputs, in two batches."""
  half = len(outputs["time"]) // 2
  parts = [
    ({k: v[:half] for k, v in outputs.items()}, {}),
    ({k: v[half:] for k, v in outputs.items()}, {}),
  ]
  evaluator = experts.Evaluator(repeats=1, **fields)
  return dict(evaluator.run(evalkit.stub(parts)))


@pytest.mark.parametrize("follows", ["class", "position"])
def test_what_an_expert_follows_has_the_information(follows):
  rng = np.random.default_rng(0)
  values = run(choices(400, rng, follows == "position"))
  if follows == "class":
    # Expert e is chosen for the kinds e and e - 1: log E - log 2.
    np.testing.assert_allclose(values["mi_class_00"], np.log(E / 2), atol=0.01)
  other = {"class": "position", "position": "class"}[follows]
  assert values[f"mi_{follows}_00"] > 0.5
  for name in (f"mi_{other}_00", "mi_time_00", "mi_class_01", "mi_time_01"):
    assert abs(values[name]) < 0.02, name


def test_loads_are_shares_of_the_assignments():
  outputs = choices(40, np.random.default_rng(1))
  outputs["chosen"][:, 1] = [0, 2]
  values = run(outputs)
  assert values["load_max_01"] == 0.5 and values["load_min_01"] == 0
  assert values["idle"] == 2 / (LAYERS * E) and values["examples"] == 40
  # Of more experts than were ever chosen, the others are idle too.
  more = run(outputs, experts=E + 3)
  assert more["idle"] == (2 + 3 * LAYERS) / (LAYERS * (E + 3))
  assert more["load_max_01"] == 0.5 and more["load_min_00"] == 0


def test_information_is_unbiased_where_there_is_none():
  rng = np.random.default_rng(0)
  values = [
    experts.information(rng.multinomial(300, np.full(32, 1 / 32)).reshape(4, 8))
    for _ in range(400)
  ]
  # The plain estimate has a mean of 21 / 600 = 0.035.
  assert abs(np.mean(values)) < 0.003


def test_the_picture_shows_the_share_of_each_kind():
  counts = np.zeros((1, 2, 3), int)
  counts[0, 0] = 5  # all to expert 0
  shown = experts.picture(counts)
  brightness = shown.sum(-1)
  assert (brightness[0] > brightness[len(shown) // 2 + 8]).all()
