"""What is read from pictures after a drag, of pictures that are drawn."""

import dataclasses

import numpy as np

from jmim.data.procedural import described
from jmim.data.procedural import dragged

N = 120
GROUND = np.array([45.0, 60.0, 50.0])


def scenes():
  """Pairs of things, and the first of each somewhere else."""
  found = []
  for i in range(N):
    things = described.draw_blobs(np.random.default_rng(i))
    others = described.draw_blobs(np.random.default_rng(i + 1000))
    away = dataclasses.replace(things[0], x=others[0].x, y=others[0].y)
    gap = np.hypot(away.x - things[1].x, away.y - things[1].y)
    edge = max(away.ellipse[2:4])
    fits = min(away.x, away.y, 1 - away.x, 1 - away.y) > edge
    far = np.hypot(away.x - things[0].x, away.y - things[0].y) > 0.25
    if far and fits and gap > edge + max(things[1].ellipse[2:4]) + 1.5 / 32:
      found.append((things, [away, things[1]]))
  assert len(found) > 15
  return found


SCENES = scenes()
ellipses = lambda which: np.stack(
  [[thing.ellipse for thing in pair[which]] for pair in SCENES]
)
BEFORE, AFTER = ellipses(0), ellipses(1)


def pictures(which, change=lambda things: things):
  made = [change(list(pair[which])) for pair in SCENES]
  return np.stack([described.render(t, GROUND, 32)[0] for t in made])


SOURCE = pictures(0)


def shares(images, which=0):
  found = dragged.measures(SOURCE, images, BEFORE, AFTER, which=which)
  return {name: x.mean() for name, x in found.items()}


def first(**changes):
  """Changes of the thing that moves."""
  return lambda things: [dataclasses.replace(things[0], **changes), *things[1:]]


def test_a_look_tells_colour_kind_and_pixels():
  for which in range(2):
    found = dragged.look(SOURCE, BEFORE[:, which])
    things = [pair[0][which] for pair in SCENES]
    assert found.colour.tolist() == [t.colour for t in things]
    assert found.kind.tolist() == [t.kind for t in things]
    masks = np.stack([described.mask(t, 32) for t in things])
    assert (found.mask == masks).mean() > 0.999


def test_of_a_true_drag_everything_holds():
  found = shares(pictures(1))
  assert found == dict.fromkeys(("moved", "clear", "colour", "kind", "kept"), 1)


def test_a_thing_that_stays_has_neither_moved_nor_gone():
  found = shares(SOURCE)
  assert found["moved"] == 0 and found["clear"] < 0.2
  assert found["kept"] < 0.2  # there is nothing where it should be


def test_one_that_is_copied_leaves_a_trace():
  both = [[*pair[1], pair[0][0]] for pair in SCENES]
  images = np.stack([described.render(t, GROUND, 32)[0] for t in both])
  found = shares(images)
  assert found["clear"] < 0.2 and found["moved"] < 0.2 and found["kept"] == 1


def test_other_looks_are_told():
  turned = pictures(1, lambda t: first(colour=(t[0].colour + 1) % 5)(t))
  found = shares(turned)
  assert found["colour"] == found["kept"] == found["moved"] == 0
  assert found["kind"] == found["clear"] == 1
  other = lambda t: (t[0].kind + 2) % 4
  formed = pictures(1, lambda t: first(kind=other(t))(t))
  found = shares(formed)
  assert found["kind"] < 0.1 and found["colour"] == 1 and found["kept"] < 0.1


def test_a_thing_a_little_beside_its_place_has_moved_and_a_far_one_has_not():
  by = lambda pixels: shares(
    pictures(1, lambda t: first(x=t[0].x + pixels / 32)(t))
  )["moved"]
  assert by(1) > 0.9 and by(4) < 0.1


def test_what_is_not_there_holds_nothing():
  none = np.zeros((2, 5), np.float32)
  assert not dragged.inside(none, 8).any()
  empty = np.full((2, 32, 32, 3), 50, np.uint8)
  found = dragged.measures(empty, empty, none[:, None], none[:, None], which=0)
  assert not found["moved"].any() and not found["kept"].any()
