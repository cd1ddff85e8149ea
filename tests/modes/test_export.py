"""--mode=export; tests/test_weights.py exports real runs."""

import pathlib

import pytest

from jmim.convert import exporting
from jmim.convert import hubs
from jmim.core import errors
from jmim.modes import export
from jmim.modes import flags

RUN = pathlib.Path("run")


@pytest.mark.parametrize(
  "workdir, out, key", [(None, "x", "--workdir"), (RUN, None, "--out")]
)
def test_what_is_missing_is_named(workdir, out, key):
  with pytest.raises(errors.UserError, match=f"without {key}") as e:
    export.run(workdir, out=out, format="hf", weights=None)
  assert e.value.key == key


@pytest.mark.parametrize("weights, used", [(None, "raw"), ("ema", "ema")])
def test_the_folder_and_what_it_has_no_place_for_are_printed(
  monkeypatch, capsys, tmp_path, weights, used
):
  calls = []

  def run(*args, **options):
    calls.append((*args, options))
    return ["no place for: params/main/decoder/pred"]

  monkeypatch.setattr(exporting, "run", run)
  out = tmp_path / "hub"
  export.run(RUN, out=str(out), format="hf", weights=weights)
  assert calls == [(RUN, "hf", out, {"weights": used, "head": ""})]
  lines = capsys.readouterr().out.splitlines()
  assert lines == ["no place for: params/main/decoder/pred", f"done: {out}"]


def test_what_is_written_is_pushed_where_it_was_said(
  monkeypatch, capsys, tmp_path
):
  pushed = []
  monkeypatch.setattr(exporting, "run", lambda *args, **_: [])
  monkeypatch.setattr(hubs, "check", lambda name: pushed.append(name))
  monkeypatch.setattr(
    hubs, "push", lambda *args: pushed.append(args) or "address"
  )
  out = tmp_path / "hub"
  export.run(
    RUN, out=str(out), format="hf", weights=None, push="me/it", private=True
  )
  assert pushed == ["me/it", (out, "me/it", True)]
  assert capsys.readouterr().out.endswith("uploaded: address\n")


def test_a_folder_that_cannot_be_made_is_a_mistake(tmp_path, monkeypatch):
  monkeypatch.setattr(exporting, "run", lambda *args, **_: pytest.fail("begun"))
  (tmp_path / "file").touch()
  with pytest.raises(errors.UserError) as e:
    export.run(RUN, out=str(tmp_path / "file"), format="hf", weights=None)
  assert e.value.key == "--out"


def test_the_formats_of_the_flag_are_those_that_there_are():
  assert flags.FORMATS == exporting.FORMATS
