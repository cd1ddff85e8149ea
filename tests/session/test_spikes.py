import numpy as np
import pytest

from jmim.session import spikes

RNG = np.random.default_rng(0)
CALM = list(1 + 0.1 * RNG.normal(size=200))


def test_a_spike_is_found_and_not_learned_from():
  found = spikes.Detector(8.0, 64, CALM[:64])
  losses = [*CALM[64:80], 3.0, 3.0, *CALM[80:90]]
  assert [i for i, _ in found.update(losses)] == [16, 17]
  assert max(found.recent) < 2 and len(found.recent) == 64


def test_z_is_a_standard_deviation_for_normal_numbers():
  found = spikes.Detector(8.0, 10**5, RNG.normal(size=10**5) * 0.5 + 3)
  # The floor for losses that hardly vary is 1e-3 of the median here.
  assert found.z(3 + 5 * (0.5 + 0.003)) == pytest.approx(5, rel=0.03)


def test_calm_losses_falling_ones_and_the_first_are_no_spikes():
  assert not spikes.Detector(8.0, 64).update(CALM)
  assert not spikes.Detector(8.0, 64).update(list(10 * 0.97 ** np.arange(200)))
  assert not spikes.Detector(8.0, 64).update([1e9, *CALM[:10], 5.0])


def test_constant_losses_are_judged_by_their_size():
  found = spikes.Detector(8.0, 64, [2.0] * 64)
  assert not found.update([2.01])
  assert found.update([2.1])


def test_what_is_not_finite_is_left_to_the_guard():
  found = spikes.Detector(8.0, 64, CALM[:64])
  assert not found.update([float("nan"), float("inf")])
  assert np.isfinite(found.recent).all()


def test_off():
  assert not spikes.Detector(0.0, 64, CALM).update([1e9])


def test_it_goes_on_as_if_never_interrupted():
  losses = [*CALM[:50], 9.0, *CALM[50:100]]
  whole = spikes.Detector(8.0, 32)
  found = whole.update(losses)
  first = spikes.Detector(8.0, 32)
  a = first.update(losses[:40])
  second = spikes.Detector(8.0, 32, first.recent)
  b = [(i + 40, z) for i, z in second.update(losses[40:])]
  assert a + b == found and second.recent == whole.recent
