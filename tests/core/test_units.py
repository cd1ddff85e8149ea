import dataclasses

import pytest

from jmim.core import errors
from jmim.core import units

BATCH, EXAMPLES = 64, 1000


def steps(**section):
  return units.steps(
    section, "total", batch=BATCH, examples=EXAMPLES, where="train"
  )


@pytest.mark.parametrize(
  "section, expected",
  [
    ({"total_steps": 7}, 7.0),
    ({"total_images": 640}, 10.0),
    ({"total_images": 100}, 1.5625),
    ({"total_epochs": 1.0}, 15.625),
    ({"total_epochs": 0.5}, 7.8125),
    ({"total_steps": 7, "total_epochs": 0.0, "total_images": 0}, 7.0),
    ({"total_steps": 0}, 0.0),
    ({}, 0.0),
  ],
)
def test_every_unit_becomes_steps(section, expected):
  assert steps(**section) == pytest.approx(expected, rel=1e-12)


def test_an_epoch_is_one_pass_whatever_the_batch():
  for batch in (1, 3, 1000):
    section = {"total_epochs": 3.0}
    n = units.steps(section, "total", batch, EXAMPLES)
    assert n * batch == pytest.approx(3 * EXAMPLES)


def test_two_units_are_an_error_that_names_both():
  with pytest.raises(errors.UserError) as e:
    steps(total_steps=5, total_epochs=2.0)
  assert e.value.seen == "total_steps=5, total_epochs=2.0"
  assert e.value.key == "train.total_epochs"


@dataclasses.dataclass(frozen=True)
class Section:
  """Two durations and something else."""

  warmup_steps: float = units.in_steps("warm-up")
  warmup_epochs: float = units.in_epochs("warm-up")
  warmup_images: float = units.in_images("warm-up")
  drop_steps: float = units.in_steps("drop")
  drop_epochs: float = units.in_epochs("drop")
  drop_images: float = units.in_images("drop")
  factor: float = 0.5


def test_a_section_is_resolved_to_steps():
  section = Section(warmup_epochs=0.5, drop_images=640, factor=0.1)
  found = units.resolve(section, BATCH, EXAMPLES, "schedule")
  assert found == Section(warmup_steps=7.8125, drop_steps=10.0, factor=0.1)
  assert units.resolve(found, BATCH, EXAMPLES, "schedule") == found
  with pytest.raises(errors.UserError) as e:
    both = Section(warmup_epochs=1.0, warmup_steps=3)
    units.resolve(both, BATCH, EXAMPLES, "schedule")
  assert e.value.key == "schedule.warmup_epochs"


def test_the_fields_of_a_duration_say_their_unit_and_are_0():
  docs = {
    f.name: f.metadata["doc"] for f in dataclasses.fields(Section) if f.metadata
  }
  assert docs["warmup_steps"] == "warm-up [optimizer steps]"
  assert docs["warmup_epochs"] == "warm-up [passes over the data]"
  assert docs["warmup_images"] == "warm-up [examples seen]"
  assert dataclasses.astuple(Section())[:6] == (0, 0.0, 0, 0, 0.0, 0)


def test_stems_are_told_apart():
  section = {"total_steps": 5, "checkpoint_epochs": 1.0}
  assert units.steps(section, "total", BATCH, EXAMPLES) == 5
  assert units.steps(section, "checkpoint", BATCH, EXAMPLES) == 15.625


def test_what_is_set_of_a_duration():
  section = {"total_steps": 0, "total_epochs": 0.5, "total_images": 7}
  assert units.given(section, "total") == {"epochs": 0.5, "images": 7}
  assert units.given(section, "warmup") == {}


def test_describe_gives_all_three():
  text = units.describe(1000, BATCH, EXAMPLES)
  assert text == "1,000 steps = 64.00 epochs = 64,000 images"
