import ast
import pathlib

import jmim
from jmim.modes import doctor


def test_one_screen_says_what_is_here(capsys, tmp_path):
  doctor.run(tmp_path / "not" / "yet")
  text = capsys.readouterr().out
  lines = text.splitlines()
  assert len(lines) <= 24
  assert f"jmim {jmim.__version__}" in lines[0]
  for word in ("python", "jax ", "numpy ", "devices", "(cpu)", "GB free in"):
    assert word in text
  assert "[wandb]" in text and "programs" in text


def test_an_accelerator_that_is_not_used_is_told_with_its_extra(tmp_path):
  (tmp_path / "nvidiactl").write_text("")
  drivers = {
    str(tmp_path / "nvidiactl"): ("gpu", "gpu"),
    str(tmp_path / "accel0"): ("tpu", "tpu"),
  }
  (told,) = doctor.unused("cpu", drivers)
  assert "a GPU that JAX does not use: pip install 'jmim[gpu]'" in told
  assert doctor.unused("gpu", drivers) == []


def test_missing_extras_are_named(monkeypatch):
  monkeypatch.setattr(doctor, "_has", lambda module: module == "wandb")
  found = doctor.extras()
  assert found["wandb"].startswith("installed")
  assert found["aot"].startswith("not installed")


def test_every_extra_of_a_user_is_looked_for():
  text = (pathlib.Path(__file__).parents[2] / "setup.py").read_text()
  body = text.partition("EXTRAS = ")[2].partition("\n}\n")[0] + "}"
  elsewhere = {"gpu", "tpu", "bench", "docs", "colab"}
  assert set(doctor.extras()) == set(ast.literal_eval(body)) - elsewhere


def test_a_cache_is_measured(tmp_path):
  assert doctor._cache(str(tmp_path / "none")).endswith("not there yet")
  (tmp_path / "a").write_bytes(bytes(3_000_000))
  assert doctor._cache(str(tmp_path)).endswith(", 3 MB")
