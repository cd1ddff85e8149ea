"""Examples of one id as one example; which members, and where they go."""

import collections
import dataclasses
import itertools
import pickle

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jmim.core import errors
from jmim.core import method
from jmim.data import augment
from jmim.data import combine
from jmim.data import groups
from jmim.data import inputs
from jmim.data import pipeline
from jmim.data import sources
from jmim.data import splits

_SPEC = pipeline.Spec(
  batch=4,
  size=8,
  threads=0,
  seed=3,
  group="clip",
  members=2,
  mean=(0.5,) * 3,
  std=(0.5,) * 3,
)


def arrays(n=20, clips=5):
  """Example i: an image full of i, of clip i % clips."""
  shape = (n, 8, 8, 3)
  counted = np.arange(n, dtype=np.uint8)
  return {
    "image": np.broadcast_to(counted[:, None, None, None], shape),
    "label": np.arange(n) % 4,
    "clip": 10 * (np.arange(n) % clips),
    "place": np.arange(n),
    "depth": np.broadcast_to(np.arange(8.0), (n, 8, 8)),
  }


def grouped(key="clip", members=2, **changes):
  source = sources.ArraySource(arrays() | changes)
  return groups.Grouped(source, key, members)


def take(spec, n, start=0, source=None, **hosts):
  stream = pipeline.training_batches(source or grouped(), spec, start, **hosts)
  batches = list(itertools.islice(stream, n))
  stream.close()
  return batches


def assert_same(one, other):
  assert len(one) == len(other)
  for a, b in zip(one, other, strict=True):
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_members_are_different_examples_of_one_id():
  for batch in take(_SPEC, 10):
    assert batch["image"].shape == (4, 2, 8, 8, 3)
    assert batch["clip"].shape == (4,)  # shared, so once
    np.testing.assert_array_equal(
      batch["place"] % 5 * 10, np.repeat(batch["clip"][:, None], 2, 1)
    )
    assert (batch["place"][:, 0] != batch["place"][:, 1]).all()
    np.testing.assert_array_equal(batch["image"][..., 0, 0, 0], batch["place"])
    np.testing.assert_array_equal(batch["label"], batch["place"] % 4)


def test_an_epoch_holds_every_group_once_and_epochs_show_other_members():
  index = np.concatenate([b["index"] for b in take(_SPEC, 5)])
  for epoch in index.reshape(4, 5):
    assert sorted(epoch) == list(range(5))
  seen = collections.defaultdict(set)
  for batch in take(_SPEC, 100):
    for group, members in zip(batch["index"], batch["place"], strict=True):
      seen[int(group)].add(tuple(members.tolist()))
  # 4 * 3 ordered pairs of each, drawn 80 times: all but surely all of them.
  assert all(len(pairs) == 12 for pairs in seen.values())


def test_the_draw_depends_on_seed_epoch_and_group_alone():
  whole = take(_SPEC, 8)
  assert_same(whole[5:], take(_SPEC, 3, start=5))
  threads = dataclasses.replace(_SPEC, threads=3)
  assert_same(whole, take(threads, 8))
  halves = [take(_SPEC, 8, process_index=i, process_count=2) for i in (0, 1)]
  joined = [
    {k: np.concatenate([a[k], b[k]]) for k in a}
    for a, b in zip(*halves, strict=True)
  ]
  assert_same(whole, joined)
  by_epoch = lambda spec: {
    (i // 5, int(g)): m.tolist()
    for i, (g, m) in enumerate(
      (g, m)
      for b in take(spec, 10 * 4 // spec.batch)
      for g, m in zip(b["index"], b["place"], strict=True)
    )
  }
  # Another batch size puts groups elsewhere, with the same members.
  assert by_epoch(_SPEC) == by_epoch(dataclasses.replace(_SPEC, batch=5))
  pairs = zip(whole, take(dataclasses.replace(_SPEC, seed=4), 8), strict=True)
  assert any((a["place"] != b["place"]).any() for a, b in pairs)


def test_repeated_slots_show_members_of_their_own():
  spec = dataclasses.replace(_SPEC, repeat_samples=2)
  batches = take(spec, 20)
  pairs = np.concatenate([b["place"].reshape(-1, 2, 2) for b in batches])
  assert (pairs[:, 0] != pairs[:, 1]).any()
  assert (pairs[:, 0] % 5 == pairs[:, 1] % 5).all()


def test_evaluation_shows_every_group_once_and_the_same():
  one, other = (
    [*pipeline.evaluation_batches(grouped(), _SPEC)] for _ in range(2)
  )
  assert_same(one, other)
  index = np.concatenate([b["index"][b["valid"]] for b in one])
  assert index.tolist() == [0, 1, 2, 3, 4]


def test_the_class_of_a_group_by_label_is_its_own():
  source = grouped("label")
  assert source.num_classes == 4 and source.labels().tolist() == [0, 1, 2, 3]
  batch = take(dataclasses.replace(_SPEC, group="label"), 1, source=source)[0]
  assert batch["label"].shape == (4,)
  other = grouped()
  assert other.num_classes is None and splits.labels_of(other) is None
  assert source[2]["label"] == 2 and list(source[2]) == ["label"]
  assert "label 2" in source.name(2)


def test_examples_without_a_label_are_in_no_group():
  labels = np.array([-1, 0] * 10)
  assert len(grouped("label", label=labels)) == 1
  with pytest.raises(errors.UserError) as caught:
    grouped("label", label=-np.ones(20, int))
  assert caught.value.key == "data.group"


def test_ids_may_be_texts_and_are_read_where_they_are_in_no_column():
  names = np.array(["b", "a", "c", "d"] * 5)
  assert [str(grouped(clip=names)[i]["clip"]) for i in range(4)] == [*"abcd"]
  source = sources.ArraySource(arrays())
  alone = splits.Subset(source, np.arange(0, 20, 2))
  alone.column = lambda name: None
  made = groups.Grouped(alone, "clip", 2)
  assert [g.index.tolist() for g in made] == [
    np.flatnonzero(np.arange(0, 20, 2) % 5 == i).tolist() for i in range(5)
  ]
  travelled = pickle.loads(pickle.dumps(grouped()))  # to a worker process
  assert_same(take(_SPEC, 3), take(_SPEC, 3, source=travelled))
  cached = groups.Grouped(combine.Cached(source, 10**6), "clip", 2)
  assert_same(take(_SPEC, 3), take(_SPEC, 3, source=cached))


@pytest.mark.parametrize(
  ("changes", "key", "members", "named"),
  [
    ({}, "scene", 2, "data.group"),
    ({"clip": np.arange(20.0)}, "clip", 2, "data.group"),
    ({"clip": np.zeros((20, 2), int)}, "clip", 2, "data.group"),
    ({}, "clip", 5, "data.members"),
  ],
)
def test_mistakes_name_their_key(changes, key, members, named):
  with pytest.raises(errors.UserError) as caught:
    grouped(key, members, **changes)
  assert caught.value.key == named


@pytest.mark.parametrize(
  ("changes", "key"),
  [
    ({"group": "", "members": 2}, "data.members"),
    ({"group": "clip", "members": 0}, "data.members"),
    ({"group": "image"}, "data.group"),
    ({"group": "depth"}, "data.group"),
  ],
)
def test_settings_that_make_no_groups(changes, key):
  with pytest.raises(errors.UserError) as caught:
    dataclasses.replace(_SPEC, **changes)
  assert caught.value.key == key


def test_a_broken_member_is_named_and_its_group_replaced():
  files = [b"broken" if i == 7 else x for i, x in enumerate(arrays()["image"])]
  read = {"threads": 0, "members": 4}
  spec = dataclasses.replace(_SPEC, **read)
  with pytest.raises(errors.UserError, match="array element 7"):
    take(spec, 3, source=grouped(image=files, members=4))
  skips = dataclasses.replace(spec, on_bad_record="skip", max_bad_share=0.9)
  for batch in take(skips, 5, source=grouped(image=files, members=4)):
    assert 2 not in batch["index"]


def test_members_are_changed_one_by_one_and_maps_go_with_them():
  batch = take(_SPEC, 1)[0]
  # A pixel is the number of its column, as its depth is.
  columns = np.broadcast_to(np.arange(8, dtype=np.uint8)[:, None], (8, 8, 3))
  batch["image"] = np.broadcast_to(columns[None, None], (4, 2, 8, 8, 3))
  batch["depth"] = batch["depth"].astype("f4")
  moved = augment.augment_batch(_SPEC, jax.random.key(1), dict(batch))
  shown = np.asarray(augment.denormalise(_SPEC, moved["image"]))
  np.testing.assert_array_equal(shown[..., 0], moved["depth"])
  coins = shown[..., 0, 0, 0] == 7
  assert coins.any() and not coins.all()
  assert (coins[:, 0] != coins[:, 1]).any()  # members of a group apart
  np.testing.assert_array_equal(moved["label"], batch["label"])
  plain = augment.prepare_batch(_SPEC, dict(batch))
  assert plain["image"].shape == (4, 2, 8, 8, 3)


def test_a_method_reads_members_or_is_told_the_key():
  read = {
    "image": method.Input((2, 8, 8, 3), range=(-1, 1)),
    "label": method.Input((2,), jnp.int32, 4),
    "depth": method.Input((2, 8, 8)),
    "clip": method.Input((), jnp.int32, 50),
  }
  spec = dataclasses.replace(_SPEC, flip=False)
  inputs.check_settings(spec, read, "some.method")
  pipeline.check_example(grouped(), spec, True, read)
  travels = inputs.on_devices(spec, read)
  assert travels["image"] == ((2, 8, 8, 3), np.uint8)
  assert travels["label"] == ((2,), np.int32)
  with pytest.raises(errors.UserError) as caught:
    inputs.check_settings(spec, {"image": method.Input((8, 8, 3))}, "mim.some")
  assert caught.value.key == "data.members"


def test_eight_devices_change_members_as_one_does():
  spec = dataclasses.replace(
    _SPEC, batch=8, device_crop="pad", pad=2, jitter=(0.4, 0.4, 0.4, 0.1)
  )
  batch = take(spec, 1)[0]
  batch = {k: batch[k] for k in ("image", "depth", "label")}
  change = jax.jit(lambda b: augment.augment_batch(spec, jax.random.key(2), b))
  mesh = jax.sharding.Mesh(np.array(jax.devices()), ("data",))
  where = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
  one, many = change(batch), change(jax.device_put(batch, where))
  for name, x in one.items():
    np.testing.assert_allclose(x, many[name], atol=1e-5, err_msg=name)
  plain = augment.prepare_batch(spec, batch)
  assert not np.array_equal(one["image"], plain["image"])
