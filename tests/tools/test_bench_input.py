import re

from jmim.tools import bench_input


def test_it_says_whether_the_input_is_enough(capsys):
  flags = ["--images=2", "--rounds=1", "--seconds=0.1", "--threads=1"]
  assert bench_input.main([*flags, "--needs=1e9"]) == 0
  text = capsys.readouterr().out
  assert re.search(r"Pillow +\d+ images/s +1\.00 x Pillow", text)
  assert "the step needs 1000000000 images/s" in text and "TOO SLOW" in text
  shares = re.findall(r"(?:read|decode|resize|copy|rest) +([\d.]+)%", text)
  assert len(shares) == 5 and 99 < sum(map(float, shares)) <= 101


def test_a_recipe_that_cannot_be_read_is_one_error(tmp_path, capsys):
  flags = ["--images=2", "--rounds=1", "--config=configs/mae_digits.py"]
  for key, value in (("data.flipp", "1"), ("data.std", "(0,)")):
    assert bench_input.main([*flags, f"--config.{key}={value}"]) == 2
    assert key in capsys.readouterr().err


def test_a_host_is_measured_beside_one_of_its_cores(monkeypatch, capsys):
  monkeypatch.setattr(bench_input, "_WORKERS", (0,))
  monkeypatch.setattr(bench_input, "_THREADS", (1, 3))
  flags = ["--host", "--images=4", "--rounds=1", "--seconds=0.1"]
  assert bench_input.main(flags) == 0
  text = capsys.readouterr().out
  one, cores, most = map(
    float,
    re.search(
      r"one core: (\d+) images/s; (\d+) cores: (\d+) at most", text
    ).groups(),
  )
  assert abs(most - cores * one) <= cores
  assert re.search(r"threads +1 +3\n", text)
  cells = re.findall(r"(\d+) \( *(\d+)%\)", text)
  assert len(cells) == 2
  for rate, share in cells:
    assert abs(float(share) - 100 * float(rate) / most) < 2
