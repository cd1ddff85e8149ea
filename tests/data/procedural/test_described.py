"""Things that a sentence describes: pixels, masks and numbers agree."""

import numpy as np
import pytest

from jmim.data.procedural import described


def rng(seed=0):
  return np.random.default_rng(seed)


def scenes(n=40):
  """Things of all that is drawn."""
  made = []
  for i in range(n):
    made.append([described.draw_one(rng(i))[0]])
    made.append(described.draw_pair(rng(i))[0])
    made.append(described.draw_blobs(rng(i)))
    made.append(described.draw_scene(rng(i), i % len(described.CLASSES)))
  return made


def distance(ellipse, size):
  """Of every pixel centre from the middle of an ellipse, in half axes."""
  x, y, a, b, angle = ellipse.astype(float)
  rows, columns = (np.mgrid[:size, :size] + 0.5) / size
  turn = np.array(
    [[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]
  )
  along = np.einsum("ij,jhw->ihw", turn, np.stack([columns - x, rows - y]))
  return np.hypot(along[0] / a, along[1] / b)


def test_an_ellipse_holds_its_thing_and_touches_it():
  for things in scenes(20):
    for thing in things:
      far = distance(thing.ellipse, 256)[described.mask(thing, 256)]
      assert 0.93 < far.max() <= 1 + 1e-5, described.KINDS[thing.kind]


def test_things_lie_within_the_picture_and_apart():
  for things in scenes():
    fields = [distance(thing.ellipse, 32) < 1 for thing in things]
    assert sum(f.astype(int) for f in fields).max() <= 1
    for thing in things:
      large = described.mask(thing, 128)
      assert not (large[0].any() or large[:, 0].any())
      assert not (large[-1].any() or large[:, -1].any())
      assert described.mask(thing, 32).sum() > 12


def test_a_picture_is_its_things_on_its_ground():
  ground = np.array([40.0, 50.0, 60.0])
  for things in scenes(10):
    image, instance = described.render(things, ground, 32)
    assert (image[instance == 0] == ground).all()
    boxes = described.boxes(instance, things)
    for i, thing in enumerate(things):
      mine = described.mask(thing, 32)
      np.testing.assert_array_equal(instance == i + 1, mine)
      shade = image[mine] / described.PALETTE[thing.colour]
      bright = np.abs(shade - 1).max(-1) < 0.02
      dark = np.abs(shade - 1 + described.SHADE).max(-1) < 0.02
      assert (bright | dark).all() and bright.any()
      assert dark.any() == (described.TEXTURES[thing.texture] == "striped")
      colour, x, y, width, height = boxes[i]
      left, top, right, bottom = np.rint(
        32 * np.array([x, y, x + width, y + height])
      ).astype(int)
      inside = np.zeros_like(mine)
      inside[top:bottom, left:right] = True
      assert not (mine & ~inside).any() and colour == thing.colour
      assert mine[top].any() and mine[bottom - 1].any()
      assert mine[:, left].any() and mine[:, right - 1].any()


def test_a_place_and_a_relation_are_what_they_are_called():
  seen = set()
  for i in range(200):
    thing, place = described.draw_one(rng(i))
    words = described.PLACES[place].split()
    assert (thing.y > 0.5) == (words[0] == "bottom")
    assert (thing.x > 0.5) == (words[1] == "right")
    (one, other), relation = described.draw_pair(rng(i))
    across, down = other.x - one.x, other.y - one.y
    seen.add(relation)
    if described.RELATIONS[relation] == "above":
      assert down > abs(across)
    else:
      assert across > abs(down)
    for each in (one, other):
      assert (each.long > 5 / 32) == (described.SIZES[each.large] == "large")
  assert seen == {0, 1}


def test_attributes_of_one_are_independent_and_equally_likely():
  drawn = [described.draw_one(rng(i)) for i in range(3000)]
  columns = {
    "kind": [t.kind for t, _ in drawn],
    "colour": [t.colour for t, _ in drawn],
    "texture": [t.texture for t, _ in drawn],
    "place": [p for _, p in drawn],
  }
  names = list(columns)
  for i, name in enumerate(names):
    for second in names[:i]:
      pairs = np.stack([columns[name], columns[second]])
      most = pairs.max(1) + 1
      table = np.bincount(pairs[0] * most[1] + pairs[1], minlength=most.prod())
      expected = len(drawn) / most.prod()
      assert ((table - expected) ** 2 / expected).sum() < 45


@pytest.mark.parametrize("of", range(len(described.CLASSES)))
def test_one_thing_of_a_scene_is_of_its_class(of):
  counts = set()
  for i in range(30):
    things = described.draw_scene(rng(i), of)
    counts.add(len(things))
    assert things[0].group == of
    assert all(thing.group != of for thing in things[1:])
    name = f"{described.COLOURS[things[0].colour]} {described.CLASSES[of]}"
    assert things[0].words == name
  assert counts == {2, 3}


def test_tokens_are_the_words_of_a_caption():
  text = "a large red striped circle left of a small blue cross"
  tokens = described.tokens(text, 12)
  words = [described.WORDS[i] for i in tokens]
  assert words == [*text.split(), ""]
  with pytest.raises(ValueError, match="not in"):
    described.tokens("a dragon", 4)


def test_words_that_captions_are_stored_with_keep_their_numbers():
  assert described.WORDS[:12] == (
    "",
    "a",
    "the",
    "at",
    "and",
    "of",
    "left",
    "right",
    "top",
    "bottom",
    "above",
    "red",
  )
  assert len(set(described.WORDS)) == len(described.WORDS) == 24
