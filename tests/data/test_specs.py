"""Settings of the data that go together, or do not."""

import dataclasses

import pytest

from jmim.core import errors
from jmim.core.settings import data as settings
from jmim.core.settings import hardware
from jmim.data import jpeg
from jmim.data import specs

_SPEC = specs.Spec(batch=8, size=16)


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("batch", 0),
    ("size", 0),
    ("channels", 2),
    ("host_crop", "centre"),
    ("eval_crop", "resized"),
    ("eval_resize", 8),
    ("crop_scale", (0.5, 0.2)),
    ("crop_scale", (0.0, 1.0)),
    ("crop_scale", (0.2,)),
    ("view_scale", (0.1, 1.1)),
    ("local_scale", (0.3, 0.2)),
    ("crop_ratio", (2.0, 1.0)),
    ("repeat_samples", 3),
    ("max_bad_share", 1.5),
    ("on_bad_record", "ignore"),
  ],
)
def test_a_mistake_names_its_key(field, value):
  with pytest.raises(errors.UserError) as caught:
    dataclasses.replace(_SPEC, **{field: value})
  assert caught.value.key == f"data.{field}"


@pytest.mark.parametrize(
  ("field", "key"),
  [
    ("threads", "hardware.data_threads"),
    ("workers", "hardware.data_workers"),
    ("prefetch", "hardware.prefetch"),
  ],
)
def test_how_it_is_loaded_is_said_by_the_hardware(field, key):
  name = key.removeprefix("hardware.")
  assert getattr(_SPEC, field) == getattr(hardware.Hardware(), name)
  with pytest.raises(errors.UserError) as caught:
    dataclasses.replace(_SPEC, **{field: -1})
  assert caught.value.key == key


def test_every_setting_of_the_data_is_one_of_the_spec():
  names = {f.name for f in dataclasses.fields(settings.Data)}
  own = {"seed", "threads", "workers", "prefetch", "reads"}
  assert {f.name for f in dataclasses.fields(specs.Spec)} == names | own
  plain = specs.Spec()
  assert all(
    getattr(plain, f.name) == f.default
    for f in dataclasses.fields(settings.Data)
  )


@pytest.mark.parametrize(
  ("fields", "key"),
  [
    ({"mean": (0.5,)}, "data.mean"),
    ({"std": (0.5,) * 4}, "data.std"),
    ({"std": (0.5, 0.0, 0.5)}, "data.std"),
    ({"jitter": (0.4, 0.4)}, "data.jitter"),
    ({"jitter": (0.4, 0.4, 0.4, 0.6)}, "data.jitter"),
    ({"jitter": (-0.1, 0.4, 0.4, 0.1)}, "data.jitter"),
    ({"blur_sigma": (1.0,)}, "data.blur_sigma"),
    ({"views": 2, "device_crop": "pad"}, "data.device_crop"),
    ({"host_crop": "resized", "device_crop": "pad"}, "data.device_crop"),
    ({"frames": 4, "grey_share": 0.5}, "data.frames"),
    ({"frames": 4, "randaugment": 9.0}, "data.frames"),
    ({"height": 9, "turn": True}, "data.turn"),
  ],
)
def test_what_the_device_cannot_do_names_its_key(fields, key):
  spec = dataclasses.replace(_SPEC, **fields)  # reading alone would do
  with pytest.raises(errors.UserError) as caught:
    spec.check_augmentation()
  assert caught.value.key == key
  _SPEC.check_augmentation()
  dataclasses.replace(_SPEC, frames=4).check_augmentation()


def test_turbo_needs_its_library_and_its_kernel(monkeypatch):
  monkeypatch.setattr(jpeg, "available", lambda: True)
  dataclasses.replace(_SPEC, decoder="turbo")
  with pytest.raises(errors.UserError) as caught:
    dataclasses.replace(_SPEC, decoder="turbo", kernel="bilinear")
  assert caught.value.key == "data.kernel"
  monkeypatch.setattr(jpeg, "available", lambda: False)
  with pytest.raises(errors.UserError, match=r"jmim\[fast\]") as caught:
    dataclasses.replace(_SPEC, decoder="turbo")
  assert caught.value.key == "data.decoder"


def test_the_section_of_an_older_run_is_read_as_far_as_it_goes():
  """What it lacks is as by default; what is known no more is left out."""
  section = {"mean": [0, 0, 0.5], "size": 8, "forgotten": 3}
  found = specs.of_run(section)
  assert found == settings.Data(mean=(0.0, 0.0, 0.5), size=8)
  assert found.sides == (8, 8) and hash(found) == hash(specs.of_run(section))
  with pytest.raises(errors.UserError, match="size"):
    specs.of_run({"size": 0})
