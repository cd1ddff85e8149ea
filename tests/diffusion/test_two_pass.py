import itertools

import pytest

from jmim.diffusion import two_pass

CASES = [
  c
  for c in itertools.product(range(1, 40), (2, 3, 5, 8, 16), (1, 2, 3, 4, 7))
  if c[2] < c[1] or c[0] <= c[1]
]


def made(piece):
  pairs = zip(piece.frames, piece.given, strict=True)
  return {i for i, given in pairs if not given}


def test_every_frame_is_made_once_after_what_is_given_with_it():
  for length, most, stride in CASES:
    chunks, between = two_pass.plan(length, most, stride)
    there = set()
    for piece in (*chunks, *between):
      assert len(piece.frames) <= most
      assert list(piece.frames) == sorted(set(piece.frames))
      new = made(piece)
      assert set(piece.frames) - new <= there and new
      assert not new & there
      there |= new
    assert there == set(range(length))


def test_what_is_between_has_both_ends_given_by_key_frames():
  for length, most, stride in CASES:
    chunks, between = two_pass.plan(length, most, stride)
    keys = set.union(*map(made, chunks))
    for piece in between:
      assert piece.given[0] and piece.given[-1]
      assert not any(piece.given[1:-1])
      assert {piece.frames[0], piece.frames[-1]} <= keys
      gaps = {b - a for a, b in itertools.pairwise(piece.frames)}
      assert gaps == {1}


def test_chunks_hand_on_their_last_frame():
  chunks, between = two_pass.plan(32, 4, 3)
  assert [c.frames for c in chunks] == [
    (0, 3, 6, 9),
    (9, 12, 15, 18),
    (18, 21, 24, 27),
    (27, 30, 31),
  ]
  assert [c.given[0] for c in chunks] == [False, True, True, True]
  assert len(between) == 10  # 30 and 31 are neighbours
  sequential, none = two_pass.plan(32, 8, 1)
  assert none == () and len(sequential) == 5
  assert sequential[-1].frames == (28, 29, 30, 31)


@pytest.mark.parametrize("most, stride", [(8, 0), (8, 8), (4, 5)])
def test_what_cannot_be_planned_is_refused(most, stride):
  with pytest.raises(ValueError, match=f"stride {stride}"):
    two_pass.plan(20, most, stride)
