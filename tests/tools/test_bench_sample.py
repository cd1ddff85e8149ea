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


@pytest.mark.slow
def test_a_small_run_ends(capsys):
  assert bench_sample.main(SMALL) == 0
  assert "images/s" in capsys.readouterr().out
