"""What hosts see of a workdir that a network disk shows them late."""

import json
import types

import pytest

from jmim.core import errors
from jmim.parallel import alike
from jmim.parallel import hosts
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
