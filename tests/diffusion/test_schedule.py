import numpy as np
import pytest

from jmim.diffusion import respace
from jmim.diffusion import schedule


@pytest.mark.parametrize("name", schedule.NAMES)
def test_every_schedule_goes_from_data_to_noise(name):
  process = schedule.make(name)
  assert process.beta.dtype == np.float64
  assert (process.beta > 0).all() and (process.beta <= 0.999).all()
  assert (np.diff(process.power) < 0).all()
  assert process.power[0] > 0.97 and process.power[-1] < 0.01
  np.testing.assert_allclose(process.signal**2 + process.noise**2, 1.0)


def test_known_values():
  linear, cosine = schedule.make("linear"), schedule.make("cosine")
  np.testing.assert_allclose(linear.power[-1], 4.04e-5, rtol=2e-3)
  np.testing.assert_allclose(linear.power[400], 0.1936, rtol=1e-3)  # DifFace
  assert cosine.power[-1] < 1e-4
  # The cosine schedule spends fewer times on what is almost only noise.
  share = [100 * np.mean(p.power < 0.01) for p in (cosine, linear)]
  np.testing.assert_allclose(share, [6.5, 32.7], atol=0.11)
  root = schedule.make("scaled_linear", 4, 0.1, 0.99)  # DiffIR
  np.testing.assert_allclose(
    root.power, [0.9, 0.6351, 0.2598, 0.0026], atol=5e-5
  )
  square = schedule.make("root_linear", 3, 0.01, 0.09)
  np.testing.assert_allclose(square.beta, [0.1, 0.05**0.5, 0.3])
  last = schedule.make("linear_last", 4, 0.1, 0.4)
  np.testing.assert_allclose(last.beta, [0.1, 0.2, 0.3, 0.999])


def test_an_unknown_name_lists_the_known_ones():
  with pytest.raises(ValueError, match="scaled_linear"):
    schedule.make("lineal")


def test_zero_terminal_snr_ends_in_pure_noise_and_starts_as_before():
  before, after = (schedule.make("linear", zero_snr=z) for z in (False, True))
  assert after.power[-1] == 0 and after.signal[-1] == 0
  np.testing.assert_allclose(after.power[0], before.power[0], rtol=1e-12)
  assert (np.diff(after.power) < 0).all()


def test_tables_are_gathered_in_float32_without_losing_the_first_levels():
  process = schedule.make("linear")
  signal, noise = process.at(np.array([[0], [999]]))
  assert signal.dtype == np.float32 and signal.shape == (2, 1)
  np.testing.assert_allclose(noise[:, 0], process.noise[[0, 999]], rtol=1e-6)


def test_respacing_with_all_times_reproduces_the_schedule():
  process = schedule.make("cosine")
  again = process.respaced(respace.spaced(1000, "1000"))
  np.testing.assert_allclose(again.beta, process.beta, rtol=1e-9)


def test_a_respaced_process_has_the_same_marginals_and_tells_the_same_times():
  process = schedule.make("linear")
  kept = respace.spaced(1000, "10")
  fewer = process.respaced(kept)
  np.testing.assert_allclose(fewer.power, process.power[kept])
  path, direct = fewer.levels(), process.levels(kept[::-1])
  np.testing.assert_array_equal(path.time[:-1], kept[::-1])
  np.testing.assert_allclose(path.noise, direct.noise, atol=1e-12)


def test_edm_and_straight_paths():
  path = schedule.karras(18)
  np.testing.assert_allclose(path.noise[[0, -2, -1]], [80.0, 0.002, 0.0])
  np.testing.assert_allclose(path.time[:-1], np.log(path.noise[:-1]) / 4)
  u = np.linspace(0, 1, 5)
  path = schedule.straight(4, shift=0.3)
  # LightningDiT: t = s u / (1 + (s - 1) u).
  np.testing.assert_allclose(path.signal, 0.3 * u / (1 - 0.7 * u))
  np.testing.assert_allclose(path.signal + path.noise, 1.0)
  np.testing.assert_allclose(schedule.straight(u, time="noise").time, 1 - u)
  for shift in (0.3, 1.0, 1 / 3, 1 / 7, 1 / 13, 1 / 17, 3.0):
    path = schedule.straight(7, shift)
    assert (path.signal[0], path.signal[-1], path.noise[-1]) == (0, 1, 0)
  with pytest.raises(ValueError, match="shift 0: above 0"):
    schedule.straight(4, 0)


def test_a_share_of_a_path_is_its_end():
  path = schedule.make("linear").levels([8, 6, 4, 2])
  part = path.last(0.5)
  assert len(path) == 4 and len(part) == 2
  np.testing.assert_array_equal(part.noise, path.noise[2:])
  np.testing.assert_array_equal(part.time, path.time[2:])
  assert len(path.last(1.0)) == 4 and len(path.last(0.01)) == 1


def test_time_between_levels_is_interpolated():
  path = schedule.make("linear").levels()
  lam = path.log_snr_half
  np.testing.assert_allclose(path.time_at(lam[[5, 100]]), path.time[[5, 100]])
  between = path.time_at((lam[5] + lam[6]) / 2)
  assert path.time[6] < between < path.time[5]
