import dataclasses

import numpy as np
import pytest

from jmim.data import decode
from jmim.data import sources
from jmim.data.builders import shapes
from jmim.data.procedural import scenes
from jmim.data.procedural import solids


def config(name, **changes):
  (found,) = [c for c in shapes.Shapes.BUILDER_CONFIGS if c.name == name]
  return dataclasses.replace(found, **changes)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """All configs with a few examples each, written and read back."""
  path = tmp_path_factory.mktemp("shapes")
  full = shapes.Shapes.BUILDER_CONFIGS
  few = [dataclasses.replace(c, train=6, test=3) for c in full]
  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(shapes.Shapes, "BUILDER_CONFIGS", few)
    patch.setattr(shapes.Shapes, "builder_configs", {c.name: c for c in few})
    yield lambda name, split: sources.build(f"shapes/{name}", split, str(path))


def rng(name="small", split="train", i=0):
  return shapes.example_rng(name, split, i)


@pytest.mark.parametrize("name", ["small", "moving", "directions", "points"])
def test_what_is_read_is_what_was_made(built, name):
  for split, count in (("train", 6), ("test", 3)):
    source = built(name, split)
    assert len(source) == count
    make = {
      "small": shapes.scene,
      "moving": shapes.clip,
      "directions": shapes.glide,
      "points": shapes.cloud,
    }[name]
    made = [make(config(name), rng(name, split, i)) for i in range(count)]
    for i in range(count):
      stored = source[i]
      key = {"points": "points", "directions": "video"}.get(name, "instance")
      (twin,) = [m for m in made if np.array_equal(m[key], stored[key])]
      for feature, value in stored.items():
        if feature == "image":
          want = decode.decode(twin["image"].getvalue(), 3)
          np.testing.assert_array_equal(decode.decode(value, 3), want)
        elif feature == "caption":
          assert value.decode() == twin["caption"]
        else:
          np.testing.assert_array_equal(value, twin[feature], feature)


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


@pytest.mark.parametrize("direction", range(len(scenes.DIRECTIONS)))
def test_what_glides_goes_where_the_label_says(direction):
  """The middle of the changing pixels moves along; no frame leaves sight."""
  for i in range(3):
    video = scenes.glide(32, 8, direction, rng("directions", i=i))
    still = np.median(video, axis=0)
    moved = np.abs(video - still).max(-1) > 8
    assert moved.any((1, 2)).all()
    y, x = (np.array([np.nonzero(m)[k].mean() for m in moved]) for k in (0, 1))
    found = np.arctan2(y[-1] - y[0], x[-1] - x[0])
    wanted = 2 * np.pi * direction / 8
    gap = (found - wanted + np.pi) % (2 * np.pi) - np.pi
    assert abs(gap) < np.pi / 8
    # At least 13 pixels; less is seen where the thing covers itself.
    assert np.hypot(y[-1] - y[0], x[-1] - x[0]) > 8


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


@pytest.mark.parametrize("label", range(len(solids.CLASSES)))
def test_clouds_are_centred_scaled_and_of_the_right_parts(label):
  points, part = solids.cloud(label, 2048, rng("points", i=label))
  np.testing.assert_allclose(points.mean(0), 0, atol=1e-4)
  np.testing.assert_allclose(np.linalg.norm(points, axis=1).max(), 1, rtol=1e-5)
  made = solids.MAKERS[solids.CLASSES[label]](lambda x: x)
  assert set(part) == {solids.PARTS.index(s.part) for s in made}


@pytest.mark.parametrize("form", ["ball", "cylinder", "cone", "box"])
def test_points_lie_uniformly_on_the_surface(form):
  size = np.array([0.3, 0.3, 0.8]) if form != "ball" else np.full(3, 0.3)
  solid = solids.Solid(
    part="rod", form=form, centre=(1.0, 2.0, 3.0), size=tuple(size)
  )
  x = (solid.sample(20_000, np.random.default_rng(0)) - solid.centre) / size
  radius = np.hypot(x[:, 0], x[:, 1])
  wanted = {
    "ball": lambda: np.linalg.norm(x, axis=1),
    "cylinder": lambda: radius,
    "cone": lambda: radius + (1 + x[:, 2]) / 2,
    "box": lambda: abs(x).max(1),
  }[form]()
  np.testing.assert_allclose(wanted, 1, rtol=1e-6)
  # Share of points in the lower half: equal areas but for the cone.
  share = {"cone": 0.75}.get(form, 0.5)
  np.testing.assert_allclose((x[:, 2] < 0).mean(), share, atol=0.015)


def test_class_can_be_learned_from_pixels_only_in_part():
  """The nearest thing's kind: neither given away nor hopeless."""
  labels = [
    shapes.scene(config("small"), rng(i=i))["label"] for i in range(200)
  ]
  counts = np.bincount(labels, minlength=5)
  assert counts.min() > 20 and counts.max() < 65
