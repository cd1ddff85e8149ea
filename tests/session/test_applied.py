import dataclasses

import appliedkit
import pytest

from jmim.core import config as configs
from jmim.core import errors
from jmim.session import applied


def parts(*items, config=None, **options):
  config = config or appliedkit.numbers()
  changed = configs.override(config, items)
  return applied.make(changed, appliedkit.find, **options)


def test_the_config_is_completed_with_every_default():
  made = parts("procedure.by=2.0")
  section = made.config.procedure
  assert section.by == 2.0 and section.source.weights == "auto"
  assert made.procedure.rt.mesh is made.mesh
  assert set(made.inputs) == {"label"} and made.face.predict()
  with pytest.raises(TypeError, match="read, not computed"):
    made.face.predict()["apply"](None, None, None)


def test_what_reads_nothing_has_numbers_for_examples():
  made = parts("apply.num=12", "apply.fit_num=25")
  assert [len(made.sources[n]) for n in ("train", "eval")] == [25, 12]
  labels = [int(made.sources["eval"][i]["label"]) for i in range(12)]
  assert labels == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
  plain = applied.Numbers(3)
  assert plain.num_classes is None and plain[2] == {"number": 2}
  assert plain.name(2) == "number 2"


@pytest.mark.parametrize(
  "items, key",
  [
    (["apply.num=0"], "apply.num"),
    (["apply.fit_num=0"], "apply.fit_num"),
    (["apply.repeats=2"], "apply.repeats"),
    (["apply.splits=()"], "apply.splits"),
    (["apply.splits=('eval', 'eval')"], "apply.splits"),
    (["data.std=(0.4,)"], "data.std"),
    (["data.batch=3"], "data.batch"),
    (["procedure.bye=2.0"], "procedure.bye"),
  ],
)
def test_mistakes_name_their_key(items, key):
  with pytest.raises(errors.UserError) as e:
    parts(*items)
  assert e.value.key == key


def test_models_may_see_pictures_in_units_of_their_own(monkeypatch):
  """Who says so brings them there; the model knows its run's."""
  with pytest.raises(errors.UserError, match="procedure.source.path"):
    parts("data.std=(0.4,)")
  own = lambda self: ("source",)
  monkeypatch.setattr(appliedkit.Noise, "in_own_units", own)
  made = parts("data.std=(0.4,)")
  units = (appliedkit.MEAN, appliedkit.STD)
  assert made.shown["source"].units == units
  assert made.given["source"].model(object()).units == units


@pytest.mark.parametrize(
  "items, key",
  [
    (["data.name="], "data.name"),
    (["data.size=16"], "data.size"),
    (["procedure.steps=50"], "procedure.steps"),
    (["procedure.told=label", "procedure.label=10"], "procedure.label"),
  ],
)
def test_mistakes_of_what_reads_images(items, key):
  config = appliedkit.recipe("nowhere", steps=4)
  with pytest.raises(errors.UserError) as e:
    parts(*items, config=config, data=False)
  assert e.value.key == key


def test_data_are_not_looked_at_where_nobody_asks():
  config = appliedkit.recipe("nowhere", steps=4)
  made = parts(config=config, data=False)
  assert made.sources == {} and set(made.inputs) == {"image", "label"}
  assert dataclasses.replace(made, sources={"eval": 1}).sources == {"eval": 1}
