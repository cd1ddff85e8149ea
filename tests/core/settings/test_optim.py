"""The sections `optim` and `schedule`."""

import dataclasses

from jmim.core import config as configs
from jmim.core import units
from jmim.core import validate
from jmim.core.settings import optim


def test_the_sections_of_the_base_build_the_defaults():
  base = configs.base()
  own = configs.for_player(base, "optim", "main")
  assert validate.build(optim.Optim, own, "optim") == optim.Optim()
  assert (
    validate.build(optim.Schedule, base.schedule, "schedule")
    == optim.Schedule()
  )


def test_a_schedule_in_steps():
  """40 images of an epoch, batch 16: 2.5 steps an epoch."""
  shape = optim.Schedule(
    name="step", warmup_epochs=2.0, drop_images=80, cooldown_steps=3
  )
  found = units.resolve(shape, 16, 40, "schedule")
  assert found == optim.Schedule(
    name="step", warmup_steps=5.0, drop_steps=5.0, cooldown_steps=3.0
  )


def test_every_duration_has_its_three_keys():
  names = {f.name for f in dataclasses.fields(optim.Schedule)}
  stems = {n.removesuffix("_images") for n in names if n.endswith("_images")}
  known = {"warmup", "hold", "stair", "cooldown", "timescale", "drop"}
  assert stems == known
  assert {f"{s}_{u}" for s in stems for u in units.UNITS} <= names
