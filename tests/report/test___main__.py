import pytest
import workdirs

from jmim.report import __main__ as command


@pytest.fixture
def folders(tmp_path):
  return [str(workdirs.make(tmp_path / name)) for name in ("a", "b")]


def test_the_page_of_a_run_is_in_its_folder(folders, capsys):
  assert command.main(folders[:1]) == 0
  path = capsys.readouterr().out.strip()
  assert path == f"{folders[0]}/report.html"
  with open(path) as file:
    assert "<html" in file.read()


def test_several_runs_have_a_page_elsewhere(folders, tmp_path, capsys):
  out = tmp_path / "both.html"
  assert command.main([*folders, f"--out={out}"]) == 0
  assert capsys.readouterr().out == f"{out}\n" and out.is_file()


def test_a_wrong_folder_is_a_screen(tmp_path, capsys):
  assert command.main([str(tmp_path / "none")]) == 2
  assert "workdir of a run" in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_an_error(folders, tmp_path, capsys):
  (tmp_path / "file").touch()
  out = f"--out={tmp_path / 'file' / 'page.html'}"
  assert command.main([folders[0], out]) == 2
  assert "cannot be written" in capsys.readouterr().err
