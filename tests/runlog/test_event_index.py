"""The index of TensorBoard's files: what is in them, and what that takes."""

import numpy as np
import pytest
from strangers import MIB
from strangers import watch

from jmim.core import crc32c
from jmim.runlog import event_index
from jmim.runlog import events

PIXELS = np.zeros((30, 20, 3), np.uint8)


def write(path, made):
  path.write_bytes(b"".join(map(events.record, made)))
  return path


@pytest.fixture
def some():
  """Events of every kind that a run writes."""
  return [
    events._version(),
    events.scalar("loss", 0.5, 0),
    events.scalar("a/ü b", float("nan"), 3),
    events.image("recon/sheet", PIXELS, 2**40),
    events.scalar("loss", -1.0, 2**40),
    events.scalar("x" * 500, 1.0, 7),
  ]


def rows(found):
  tags = [found.tags[t] if t >= 0 else None for t in found.tag]
  return [*zip(found.step.tolist(), tags, found.image.tolist(), strict=True)]


def test_steps_tags_and_places_are_those_of_the_events(tmp_path, some):
  one, two = write(tmp_path / "1", some), write(tmp_path / "2", some[:3])
  found = event_index.read([one, two])
  want = [
    (e.step, v[0].tag if v else None, bool(v) and v[0].HasField("image"))
    for e in [*some, *some[:3]]
    for v in [e.summary.value]
  ]
  assert rows(found) == want and found.whole
  assert found.file.tolist() == [0] * 6 + [1] * 3
  data = [one.read_bytes(), two.read_bytes()]
  for i, event in enumerate([*some, *some[:3]]):
    start, end = found.start[i], found.start[i] + found.size[i]
    assert data[found.file[i]][start:end] == events.record(event)


def test_nothing_and_empty_files(tmp_path):
  assert rows(event_index.read([])) == []
  found = event_index.read([write(tmp_path / "1", [])])
  assert rows(found) == [] and found.whole


def test_what_is_cut_or_flipped_ends_a_file_there(tmp_path, some):
  path = write(tmp_path / "1", some)
  whole = path.read_bytes()
  ends = np.cumsum([len(events.record(event)) for event in some]).tolist()
  for cut in range(len(whole)):
    path.write_bytes(whole[:cut])
    found = event_index.read([path])
    assert len(found.step) == sum(end <= cut for end in ends)
    assert found.whole == (cut in (0, *ends))
  for at in range(ends[2]):  # of numbers each byte is looked at
    data = bytearray(whole)
    data[at] ^= 8
    path.write_bytes(data)
    found = event_index.read([path])
    assert len(found.step) == sum(end <= at for end in ends)
    assert not found.whole


def test_a_picture_at_the_end_is_looked_at(tmp_path, some):
  path = write(tmp_path / "1", some[:4])
  data = bytearray(path.read_bytes())
  data[-20] ^= 1
  path.write_bytes(data)
  assert len(event_index.read([path]).step) == 3


@pytest.mark.slow
def test_of_a_million_steps_no_event_is_made(tmp_path, monkeypatch):
  """That took a minute, and 2.6 GB; each is summed up once."""
  # 50,000 lines of 20 numbers: a line every 20 steps.
  names = [f"some/number_{i}" for i in range(20)]
  steps = np.arange(20, 10**6 + 1, 20)
  folder = tmp_path / "tensorboard"
  folder.mkdir()
  path = folder / "events.out.tfevents.1.host"
  with path.open("wb") as file:
    file.write(events.record(events._version()))
    for name in names:
      bodies = [
        events.scalar(name, 0.5, step).SerializeToString()
        for step in steps.tolist()
      ]
      for body in bodies:
        length = len(body).to_bytes(8, "little")
        file.write(length + crc32c.masked(length).to_bytes(4, "little"))
        file.write(body + crc32c.masked(body).to_bytes(4, "little"))
  lines = [{"step": s} | dict.fromkeys(names, 0.5) for s in steps.tolist()]
  before, sums, made = path.read_bytes(), [], []
  masked, kind = crc32c.masked, events.Event
  count = lambda data: sums.append(1) or masked(data)
  monkeypatch.setattr(crc32c, "masked", count)
  event = lambda **fields: made.append(1) or kind(**fields)
  monkeypatch.setattr(events, "Event", event)  # and none is parsed
  with watch(seconds=3600) as took:
    events.mend(folder, 10**6, lines)  # nothing to do
    assert not made
    events.mend(folder, 10**6 - 20, lines[:-1])  # the last line goes
  print(f"{took.seconds:.1f} s, {took.memory / MIB:.0f} MiB")
  (new,) = folder.iterdir()
  assert new.stat().st_size < len(before)
  assert len(made) == 1  # the version
  assert len(sums) < 2 * (len(steps) * len(names) + 100)  # in two mendings
  assert took.memory < 1024 * MIB
