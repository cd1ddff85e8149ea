import itertools

import hypothesis
import hypothesis.strategies as st
import pytest

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


def test_what_a_checkpoint_holds_wins_over_the_file():
  meta = {"skips": [[2, 1]]}
  written = [[2, 9], [4, 3], [6, 1]]  # of it, of later ones
  assert skips.after(4, meta, written) == [[2, 1], [4, 3], [6, 1]]
  assert skips.after(8, meta, written) == [[2, 1]]
  assert skips.after(4, {}, written) == written  # of an older version


@pytest.mark.parametrize("text", ["", "{}", "[[4]]", "[[4, -1]]", '[["4", 1]]'])
def test_a_file_that_is_broken_has_none(tmp_path, text):
  (tmp_path / skips.NAME).write_text(text)
  assert skips.read(tmp_path) == []


def test_windows_are_kept(tmp_path):
  assert skips.read(tmp_path) == []
  skips.add(tmp_path, 4, 3)
  skips.add(tmp_path, 4, 2)
  assert skips.read(tmp_path) == [[4, 3], [4, 2]]
  assert skips.position(4, skips.read(tmp_path)) == 9


@pytest.mark.parametrize(
  "step, known, back",
  [
    (6, [], 4),  # left by a rollback to 4 at step 7
    (7, [[2, 9]], 4),
    (6, [[4, 3]], 0),  # made after it
    (4, [], 0),  # what it goes to
    (8, [], 0),  # of a run that went on: too late
    (6, None, 0),  # of an older version
  ],
)
def test_a_rollback_that_was_cut_short_is_known(step, known, back):
  meta = {} if known is None else {"skips": known}
  assert skips.cut_short(step, meta, [[4, 3]]) == back
  assert skips.cut_short(step, meta, []) == 0
