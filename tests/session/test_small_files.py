"""Small files of a workdir that a full disk, or a hand, has spoilt."""

import json
import shutil

import numpy as np
import pytest
import tinyrun

from jmim.modes import train
from jmim.runlog import writer
from jmim.session import small_files

LINE = '{"step": 1, "loss": 2.0}\n'


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", "\x00\x00"])
@pytest.mark.parametrize("name", small_files.FITS)
def test_what_is_broken_is_moved_and_named(tmp_path, name, text):
  (tmp_path / name).write_text(text)
  (line,) = small_files.check(tmp_path, write=False)
  assert line == f"{name} cannot be read: left out"
  (line,) = small_files.check(tmp_path, write=True)
  assert str(tmp_path / "damaged" / name) in line
  assert (tmp_path / "damaged" / name).read_text() == text
  assert not small_files.check(tmp_path, write=True)


def test_a_log_with_broken_lines_loses_those_only(tmp_path):
  text = LINE + '{"step": 2, "lo\n[3]\n' + LINE + '{"st'
  (tmp_path / "metrics.jsonl").write_text(text)
  assert [x["step"] for x in writer.read(tmp_path)] == [1, 1]
  (line,) = small_files.check(tmp_path, write=True)
  assert line.startswith("2 lines of metrics.jsonl cannot be read")
  assert (tmp_path / "damaged" / "metrics.jsonl").read_text() == text
  # Half a last line is what each kill leaves.
  (tmp_path / "metrics.jsonl").write_text(LINE + '{"st')
  assert not small_files.check(tmp_path, write=True)


def test_a_run_goes_on_from_its_checkpoints(toy, tmp_path, capsys):
  toy = tinyrun.small(toy, keep=("loss",))
  train.run(toy, tmp_path / "whole")
  shutil.copytree(tmp_path / "whole", tmp_path / "cut")
  shutil.rmtree(tmp_path / "cut" / "checkpoints" / "4")
  assert not small_files.check(tmp_path / "cut", write=False)
  for name in small_files.FITS:
    (tmp_path / "cut" / name).write_text("{")
  with (tmp_path / "cut" / "metrics.jsonl").open("ab") as file:
    file.write(b"\xff\xfe\n{\n")
  capsys.readouterr()
  train.run(toy, tmp_path / "cut")
  shown = capsys.readouterr().out
  assert all(f"{name} cannot be read" in shown for name in small_files.FITS)
  assert "resumed from step 2" in shown
  assert tinyrun.lines(tmp_path / "cut") == tinyrun.lines(tmp_path / "whole")
  states = [tinyrun.final_state(tmp_path / n, toy) for n in ("whole", "cut")]
  for name, leaf in states[0].items():
    np.testing.assert_array_equal(leaf, states[1][name], name)
  json.loads((tmp_path / "cut" / "config.json").read_text())


@pytest.mark.parametrize("text", ["{}", '{"evals": []}', '{"evals": {"x": 3}}'])
def test_a_config_of_another_form_stops_no_run(toy, tmp_path, text):
  toy = tinyrun.small(toy)
  train.run(toy, tmp_path)
  shutil.rmtree(tmp_path / "checkpoints" / "4")
  (tmp_path / "config.json").write_text(text)
  train.run(toy, tmp_path)
  assert (tmp_path / "checkpoints" / "4").exists()
  assert "method" in json.loads((tmp_path / "config.json").read_text())
