import json

import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jmim.runlog import events
from jmim.runlog import writer as writers


def steps(workdir):
  return [line["step"] for line in writers.read(workdir)]


def test_lines_come_back_with_their_details(tmp_path):
  w = writers.Writer(tmp_path / "new" / "run")
  w.scalars(3, {"loss": 0.5, "n": 2}, eval="knn", protocol={"k": [20]})
  w.scalars(4, {"loss": np.float32(0.25), "lr": jnp.float32(0.125)})
  w.close()
  assert writers.read(tmp_path / "new" / "run") == [
    {"step": 3, "loss": 0.5, "n": 2, "eval": "knn", "protocol": {"k": [20]}},
    {"step": 4, "loss": 0.25, "lr": 0.125},
  ]


def test_a_line_can_be_read_while_the_run_goes_on(tmp_path):
  w = writers.Writer(tmp_path)
  w.scalars(1, {"loss": 1.0})
  assert steps(tmp_path) == [1]
  w.close()


@pytest.mark.parametrize("kind", [float, np.float32, jnp.float32])
def test_numbers_json_does_not_have_are_strings(tmp_path, kind):
  w = writers.Writer(tmp_path)
  w.scalars(1, {"a": kind("nan"), "b": kind("inf"), "c": kind("-inf")})
  w.close()
  strict = json.loads(
    (tmp_path / "metrics.jsonl").read_text(),
    parse_constant=lambda name: pytest.fail(f"{name} is not JSON"),
  )
  assert strict == {"step": 1, "a": "nan", "b": "inf", "c": "-inf"}


def test_resuming_removes_what_came_after_the_checkpoint(tmp_path):
  w = writers.Writer(tmp_path)
  for step in (1, 2, 2, 3, 4):
    w.scalars(step, {"loss": float(step)})
  w.close()
  w = writers.Writer(tmp_path, step=2)
  w.scalars(3, {"loss": 30.0})
  w.close()
  assert steps(tmp_path) == [1, 2, 2, 3]
  assert writers.read(tmp_path)[-1]["loss"] == 30.0
  assert not list(tmp_path.glob("*.tmp"))


@pytest.mark.parametrize("cut", [1, 8, 25])
def test_resuming_drops_a_last_line_cut_by_a_crash(tmp_path, cut):
  w = writers.Writer(tmp_path)
  for step in (1, 2):
    w.scalars(step, {"loss": 0.123456789})
  w.close()
  path = tmp_path / "metrics.jsonl"
  path.write_text(path.read_text()[:-cut])  # cut = 1: only the line's end
  w = writers.Writer(tmp_path, step=2)
  w.scalars(3, {"loss": 1.0})
  w.close()
  assert steps(tmp_path) == ([1, 2, 3] if cut == 1 else [1, 3])


@pytest.mark.parametrize("cut", [1, 2, 5, 20, 23, 26])
def test_half_a_last_line_is_none_for_readers(tmp_path, cut):
  """A kill, or a run that goes on, leaves it; it may end within a letter."""
  w = writers.Writer(tmp_path)
  w.scalars(1, {"loss": 1.0})
  w.close()
  with (tmp_path / "metrics.jsonl").open("ab") as file:
    file.write('{"step": 2, "loss": 2.0, "é": 1}\n'.encode()[:-cut])
  assert steps(tmp_path) == ([1, 2] if cut == 1 else [1])
  assert not writers.broken(tmp_path)


def test_starting_again_from_0_begins_a_new_file(tmp_path):
  w = writers.Writer(tmp_path)
  w.scalars(1, {"loss": 1.0})
  w.close()
  writers.Writer(tmp_path, step=0).close()
  assert writers.read(tmp_path) == []


def test_images_are_saved_exactly(tmp_path):
  rng = np.random.default_rng(0)
  pixels = rng.integers(0, 256, (5, 7, 3)).astype(np.uint8)
  w = writers.Writer(tmp_path)
  path = w.image(12, "recon/sheet", pixels)
  w.close()
  assert path == tmp_path / "images" / "recon_sheet_00000012.png"
  np.testing.assert_array_equal(np.asarray(PIL.Image.open(path)), pixels)


def test_a_picture_that_met_a_full_disk_is_no_empty_file(tmp_path, monkeypatch):
  failed = []
  w = writers.Writer(tmp_path, failed=failed.append)
  path = w.image(1, "x", np.zeros((4, 4, 3), np.uint8))
  before = path.read_bytes()

  def save(self, file, kind):
    file.write(b"half")
    raise OSError(28, "No space left on device")

  monkeypatch.setattr(PIL.Image.Image, "save", save)
  with monkeypatch.context() as patch:
    patch.setattr(writers.events, "image", lambda *args: writers.events.Event())
    w.image(1, "x", np.ones((4, 4, 3), np.uint8))
    w.image(2, "x", np.ones((4, 4, 3), np.uint8))
  w.close()
  assert [e.errno for e in failed] == [28, 28]
  assert path.read_bytes() == before
  assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_tensorboard_gets_the_same(tmp_path):
  w = writers.Writer(tmp_path)
  w.scalars(1, {"some_loss": 1.0})
  w.close()
  (path,) = (tmp_path / "tensorboard").iterdir()
  assert b"some_loss" in path.read_bytes()


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a b\n/c", "..", "a\0b"])
def test_no_name_leads_out_of_the_workdir(tmp_path, name):
  w = writers.Writer(tmp_path / "run")
  path = w.image(1, name, np.zeros((2, 2, 3), np.uint8))
  w.close()
  assert path.resolve().parent == (tmp_path / "run" / "images").resolve()
  assert [p.name for p in tmp_path.iterdir()] == ["run"]


def test_what_cannot_be_written_is_reported_and_tried_again(tmp_path):
  failures = []
  w = writers.Writer(tmp_path / "run", failed=failures.append)
  w.scalars(1, {"loss": 1.0})
  (tmp_path / "run").rename(tmp_path / "away")
  w.scalars(2, {"loss": 2.0})
  assert failures
  assert all(isinstance(e, FileNotFoundError) for e in failures)
  with pytest.raises(FileNotFoundError):
    w.flush()
  (tmp_path / "away").rename(tmp_path / "run")
  w.scalars(3, {"loss": 3.0})
  w.close()
  assert steps(tmp_path / "run") == [1, 2, 3]


def test_rewound_it_goes_on_as_if_later_steps_had_not_been(tmp_path):
  w = writers.Writer(tmp_path)
  for step in (1, 2, 3):
    w.scalars(step, {"loss": float(step)})
  w.rewind(1)
  w.scalars(2, {"loss": 20.0})
  w.close()
  assert [x["loss"] for x in writers.read(tmp_path)] == [1.0, 20.0]
  numbers = [
    (e.step, v.simple_value)
    for e in events.read(tmp_path / "tensorboard")
    for v in e.summary.value
  ]
  assert numbers == [(1, 1.0), (2, 20.0)]
