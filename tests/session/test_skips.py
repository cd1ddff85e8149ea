import itertools

import hypothesis
import hypothesis.strategies as st

from jmim.session import skips

SKIPS = st.lists(
  st.tuples(st.integers(0, 30), st.integers(1, 9)), max_size=4
).map(sorted)


def take(start, windows, n, opened=None):
  closed = []

  def open_at(position):
    def batches():
      try:
        yield from itertools.count(position)
      finally:
        closed.append(position)

    if opened is not None:
      opened.append(position)
    return batches()

  made = skips.stream(start, windows, open_at)
  found = list(itertools.islice(made, n))
  made.close()
  if opened is not None:
    assert closed == opened
  return found


def test_without_rollbacks_the_position_is_the_step():
  assert take(7, [], 3, []) == [7, 8, 9]


def test_a_window_is_jumped_over():
  assert take(0, [(4, 3)], 8, []) == [0, 1, 2, 3, 7, 8, 9, 10]


@hypothesis.given(SKIPS, st.integers(0, 40))
def test_starting_anywhere_continues_the_same_stream(windows, start):
  whole = take(0, windows, 60)
  assert take(start, windows, 60 - start) == whole[start:]
  assert whole == [skips.position(step, windows) for step in range(60)]
  assert len(set(whole)) == 60  # nothing is seen twice


def test_windows_are_kept(tmp_path):
  assert skips.read(tmp_path) == []
  skips.add(tmp_path, 4, 3)
  skips.add(tmp_path, 4, 2)
  assert skips.read(tmp_path) == [[4, 3], [4, 2]]
  assert skips.position(4, skips.read(tmp_path)) == 9
