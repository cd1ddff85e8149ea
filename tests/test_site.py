"""The documentation site builds without a warning (pip install jmim[docs])."""

import importlib.util
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[1]

pytestmark = pytest.mark.skipif(
  not importlib.util.find_spec("mkdocstrings"),
  reason="MkDocs is not installed: pip install 'jmim[test]'",
)


def test_the_site_builds_without_warnings(tmp_path):
  done = subprocess.run(
    [
      sys.executable,
      "-m",
      "mkdocs",
      "build",
      "--strict",
      "-q",
      f"--site-dir={tmp_path / 'site'}",
    ],
    cwd=ROOT,
    text=True,
    capture_output=True,
  )
  assert done.returncode == 0, done.stderr
  assert "WARNING" not in done.stderr
  for page in (ROOT / "docs").glob("*.md"):
    assert (tmp_path / "site" / f"{page.stem}.html").exists()
  api = (tmp_path / "site/api/jmim.methods.mim.html").read_text()
  assert 'id="jmim.methods.mim.mae"' in api
  assert "Masked Autoencoders Are Scalable Vision Learners" in api
  # A link to a file of the repository leads to its place in the API.
  gallery = (tmp_path / "site/methods.html").read_text()
  assert 'href="api/jmim.methods.distill.html#jmim.methods.distill.dmae"' in (
    gallery
  )
