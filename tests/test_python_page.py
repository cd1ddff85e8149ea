"""docs/python.md is run as it is written, but for fewer steps."""

import pathlib
import re

import pytest

PAGE = pathlib.Path(__file__).resolve().parents[1] / "docs" / "python.md"


@pytest.mark.slow
def test_the_page_runs(tmp_path, monkeypatch, unimported):
  monkeypatch.chdir(tmp_path)
  monkeypatch.syspath_prepend(tmp_path)
  unimported("my_data")
  blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.M | re.S)
  assert len(blocks) == 4
  names = {}
  for block in blocks:
    if file := re.match(r"# file: (\S+)\n", block):
      (tmp_path / file[1]).write_text(block)
      continue
    text = re.sub(r"(steps=)(\d)0", r"\g<1>\2", block)
    exec(compile(text, str(PAGE), "exec"), names)
  run, discs = names["run"], names["jmim"].run("runs/discs")
  assert run.metrics["loss"].step.tolist()[-1] == 4
  assert run.results["recon/mse"] > 0 and run.report.is_file()
  assert discs.config.data.name == "my_data.splits"
  assert (tmp_path / "runs" / "discs" / "data.json").read_text().count("large")
