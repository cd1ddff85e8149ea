import pytest

from jmim.diffusion import segments


@pytest.mark.parametrize(
  "searches, steps, expected",
  [
    ((2, 4), 6, "dense dense search sparse refresh sparse"),
    ((0,), 3, "search sparse sparse"),
    ((0, 1), 2, "search refresh"),
    ((2,), 3, "dense dense search"),
  ],
)
def test_every_call_is_in_one_segment(searches, steps, expected):
  found = segments.segments(searches, steps)
  calls = [s.phase for s in found for _ in range(s.start, s.stop)]
  assert calls == expected.split()
  assert found[0].start == 0 and found[-1].stop == steps
  assert all(a.stop == b.start for a, b in zip(found, found[1:], strict=False))
  assert all(s.stop > s.start and s.phase in segments.PHASES for s in found)
