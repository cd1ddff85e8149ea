import numpy as np
import pytest

from jmim.tools import bench_sample

SMALL = ["--variant=S/2", "--size=4", "--batch=2", "--steps=2", "--rounds=2"]


def test_every_round_is_timed_in_turn():
  order = []
  runners = {n: lambda n=n: order.append(n) for n in ("a", "b")}
  laps = bench_sample.race(runners, 3)
  assert order == ["a", "b"] * 4  # the first pair warms up
  assert all(len(x) == 3 and (x >= 0).all() for x in laps.values())


def test_what_is_printed(monkeypatch, capsys):
  monkeypatch.setattr(bench_sample, "ours", lambda flags: lambda: None)
  monkeypatch.setattr(bench_sample, "peer", lambda flags: lambda: None)
  times = iter(np.cumsum([0, 1, 0, 2, 0, 1, 0, 3]).tolist())
  monkeypatch.setattr(bench_sample.time, "perf_counter", lambda: next(times))
  assert bench_sample.main([*SMALL, "--peer"]) == 0
  text = capsys.readouterr().out
  assert "jmim       2.000, 2.000 images/s" in text
  assert "jmim / diffusers: 2.00, 3.00; median 2.50" in text


def test_without_the_peer_it_says_what_to_install(monkeypatch, capsys):
  monkeypatch.setattr(bench_sample, "ours", lambda flags: lambda: None)
  monkeypatch.setattr(bench_sample, "_installed", lambda name: False)
  assert bench_sample.main([*SMALL, "--peer"]) == 2
  assert 'pip install "jmim[bench]"' in capsys.readouterr().err


RECIPE = """
from jmim.core import config as configs
def get_config():
  config = configs.base()
  config.data.name = "none"
  vectors = dict(size=8, patch=4)
  config.method = configs.section(
    type="discrete.digit",
    semantic=dict(vocabulary=5, vectors=vectors),
    lm=dict(dims=dict(width=8, depth=1, heads=2)),
  )
  return config
"""


def test_a_recipe_is_raced_with_one_key_changed(tmp_path, capsys):
  (tmp_path / "recipe.py").write_text(RECIPE)
  argv = [f"--config={tmp_path}/recipe.py", "--batch=2", "--rounds=2"]
  beside = "--beside=method.sampling.cache=False"
  over = "--config.method.sampling.top_k=3"
  assert bench_sample.main([*argv, beside, over]) == 0
  text = capsys.readouterr().out
  assert "method.sampling.top_k=3" in text and "recipe / beside: " in text
  assert bench_sample.main([*argv, "--beside=method.sampling.cash=1"]) == 2
  assert "method.sampling.cash" in capsys.readouterr().err
  with pytest.raises(SystemExit):
    bench_sample.main([*argv, "--peer"])
  with pytest.raises(SystemExit):
    bench_sample.main([beside])


@pytest.mark.slow
def test_a_small_run_ends(capsys):
  assert bench_sample.main(SMALL) == 0
  assert "images/s" in capsys.readouterr().out
