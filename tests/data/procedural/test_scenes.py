"""Scenes: pixels and annotations follow from the same formulas."""

import numpy as np

from jmim.data.builders import shapes
from jmim.data.procedural import scenes


def rng(name="small", split="train", i=0):
  return shapes.example_rng(name, split, i)


def test_pixels_and_annotations_follow_the_same_things():
  size = 64
  for i in range(12):
    things = scenes.random_things(size, rng(i=i))
    wall = np.zeros((size, size, 3))
    image, instance, depth = scenes.render(things, wall)
    semantic = scenes.semantic(instance, things)
    floor = scenes.background_depth(size)
    np.testing.assert_array_equal(depth[instance == 0], floor[instance == 0])
    assert not image[instance == 0].any()
    for k, thing in enumerate(things):
      mine = instance == k + 1
      assert mine.sum() >= scenes.LEAST_VISIBLE
      assert (semantic[mine] == 1 + thing.kind).all()
      np.testing.assert_allclose(depth[mine], thing.depth, rtol=1e-6)
      # Nothing farther is ever on top.
      whole = scenes.inside(thing, size)
      assert (instance[whole] >= k + 1).all()
      hue = image[mine] / np.asarray(scenes.COLOURS[thing.colour])
      np.testing.assert_allclose(hue[:, 0], hue[:, 1], rtol=1e-4)


def test_boxes_are_the_smallest_around_visible_pixels():
  things = scenes.random_things(32, rng(i=3))
  _, instance, _ = scenes.render(things, np.zeros((32, 32, 3)))
  found = (scenes.boxes(instance, len(things)) * 32).astype(int)
  assert not found[len(things) :].any()
  for k, (y0, x0, y1, x1) in enumerate(found[: len(things)]):
    mine = instance == k + 1
    assert mine[y0:y1, x0:x1].sum() == mine.sum()
    for edge in (
      mine[y0, x0:x1],
      mine[y1 - 1, x0:x1],
      mine[y0:y1, x0],
      mine[y0:y1, x1 - 1],
    ):
      assert edge.any()


def test_depth_is_perspective():
  depth = scenes.background_depth(100)[:, 0]
  assert depth[0] == scenes.FAR and depth[-1] < 1.02 * scenes.NEAR
  inverse = 1 / depth[45:]
  np.testing.assert_allclose(np.diff(inverse), np.diff(inverse)[0], rtol=1e-2)
  for z in (1.2, 2.0, 3.7):  # things stand where the floor is as far as they
    row = int(scenes.floor_line(z, 1000))
    np.testing.assert_allclose(
      scenes.background_depth(1000)[row, 0], z, rtol=0.01
    )


def test_flow_leads_each_visible_pixel_to_its_thing():
  made = scenes.clip(64, 6, rng("moving"))
  instance, flow = made["instance"], made["flow"]
  assert np.abs(flow).max() > 0.5
  assert not flow[instance[:-1] == 0].any()
  for k, thing in enumerate(made["things"]):
    speed = flow[0][instance[0] == k + 1]
    assert (speed == speed[0]).all()
    # Frame t is the thing moved t times: checked where it is topmost.
    for t in range(6):
      where = scenes.inside(thing.moved(t * speed[0]), 64)
      mine = instance[t] == k + 1
      assert (mine & ~where).sum() <= 2  # centres on the very edge
      assert (instance[t][where] >= k + 1).mean() > 0.98


def test_the_texture_behind_a_glide_continues_from_patch_to_patch():
  """Four pixels on it is much as here, which of noise it is not."""
  alike = lambda z: np.corrcoef(z[:, :-4].ravel(), z[:, 4:].ravel())[0, 1]
  textures = [scenes.clouds(32, rng("directions", i=i)) for i in range(20)]
  assert np.mean([alike(z[..., 0]) for z in textures]) > 0.85
  assert abs(alike(rng().normal(size=(32, 32)))) < 0.2
  for z in textures:
    hue = z[0, 0] - z[0, 0, 0]  # the same everywhere
    np.testing.assert_allclose(z - z[..., :1], hue + 0 * z, atol=1e-3)
    np.testing.assert_allclose(z.std((0, 1)), 35, rtol=1e-3)


def test_caption_names_things_from_near_to_far():
  things = scenes.random_things(32, rng(i=5))
  words = scenes.caption(things).split(" in front of ")
  assert words == [f"a {thing.words}" for thing in things[::-1]]
