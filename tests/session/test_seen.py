"""What hosts see of a workdir that a network disk shows them late."""

import json
import types

import numpy as np
import pytest

from jmim.core import errors
from jmim.parallel import alike
from jmim.parallel import hosts
from jmim.session import samples
from jmim.session import seen


@pytest.fixture
def slept(monkeypatch):
  found = []
  monkeypatch.setattr(alike.time, "sleep", found.append)
  return found


def host(monkeypatch, ours, theirs, index=1, workdir=None):
  """A session of host `index` of two: what it and the other see, in turn."""
  ours, theirs = iter(ours), iter(theirs)

  def gather(name, value, seconds, index, count):
    return {index: value, 1 - index: next(theirs)}

  monkeypatch.setattr(hosts, "gather", gather)
  store = types.SimpleNamespace(latest=lambda: next(ours))
  return types.SimpleNamespace(
    group=hosts.Group(1, index, 2),
    keeper=types.SimpleNamespace(store=store),
    console=types.SimpleNamespace(print=lambda text: None),
    workdir=workdir,
  )


@pytest.mark.parametrize("index", (0, 1))
@pytest.mark.parametrize(
  "ours, theirs, pauses",
  [
    ([40], ["40"], []),
    ([None], ["0"], []),
    ([30, 30, 40], ["40", "40", "40"], [1, 2]),  # we see it late
    ([40, 40], ["30", "40"], [1]),  # they do
  ],
)
def test_an_old_list_is_looked_at_again(
  monkeypatch, slept, index, ours, theirs, pauses
):
  session = host(monkeypatch, ours, theirs, index)
  assert seen.newest(session) == (ours[-1] or 0)
  assert slept == pauses


def test_what_stays_different_after_a_minute_is_another_folder(
  monkeypatch, slept
):
  session = host(monkeypatch, [30] * 9, ["40"] * 9)
  with pytest.raises(errors.UserError, match="newest checkpoint of hosts 1"):
    seen.newest(session)
  assert sum(slept) == 60


def test_what_was_evaluated_is_what_the_first_host_reads(monkeypatch, tmp_path):
  """And a line that a crash has cut stops nobody."""
  lines = [{"step": 7, "eval": "knn"}, {"step": 7}, {"step": 3, "eval": "fid"}]
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (tmp_path / "metrics.jsonl").write_text(text + '{"step": 7, "ev')
  first = host(monkeypatch, [], [""], index=0, workdir=tmp_path)
  assert seen.evaluated(first, 7) == {"knn"}
  (tmp_path / "metrics.jsonl").write_text("")
  second = host(monkeypatch, [], ['["fid", "knn"]'], workdir=tmp_path)
  assert seen.evaluated(second, 7) == {"fid", "knn"}
  alone = types.SimpleNamespace(group=hosts.Group(), workdir=tmp_path / "none")
  assert seen.evaluated(alone, 7) == set()


def test_what_a_folder_holds_is_what_the_first_host_sees(monkeypatch, tmp_path):
  """The second is shown a part that the first has removed as damaged."""
  said, told = [], []
  first = hosts.Group(7, 0, 2)

  def gather(name, value, seconds, index, count):
    told.append(value)
    return {0: value, 1: ""}

  monkeypatch.setattr(hosts, "gather", gather)
  numbers = np.array([7, 2, 300])
  samples.write(tmp_path, {"image": np.zeros((3, 2, 2, 1)), "index": numbers})
  (tmp_path / "part_00001.npz").write_bytes(b"PK cut")
  assert seen.held(first, tmp_path, said.append).tolist() == [2, 7, 300]
  assert len(said) == 1 and "part_00001.npz is damaged" in said[0]
  assert max(map(len, told)) < 99
  (tmp_path / "part_00001.npz").write_bytes(b"PK cut")
  answers = iter(told)
  monkeypatch.setattr(
    hosts, "gather", lambda *args, **more: {0: next(answers), 1: ""}
  )
  second = hosts.Group(7, 1, 2)
  assert seen.held(second, tmp_path, said.append).tolist() == [2, 7, 300]
  assert len(said) == 1 and (tmp_path / "part_00001.npz").exists()


def test_what_cannot_be_tidied_is_an_error_of_all(monkeypatch, tmp_path):
  def tidy(folder):
    raise OSError("read-only")

  monkeypatch.setattr(samples, "tidy", tidy)
  with pytest.raises(OSError, match="read-only"):
    seen.held(hosts.Group(), tmp_path, print)


@pytest.mark.parametrize("numbers", ([], [0], [0, 1, 2], [5, 1_000_000]))
def test_numbers_are_told_as_bits(numbers):
  told = seen._packed(np.array(numbers, np.int64))
  assert seen._unpacked(told).tolist() == numbers
