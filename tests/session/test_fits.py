import dataclasses
import json

import appliedkit
import numpy as np
import pytest

from jmim.core import config as configs
from jmim.data import keep
from jmim.data import sources
from jmim.parallel import hosts
from jmim.session import applied
from jmim.session import applying
from jmim.session import fits


def work(*items):
  config = configs.override(appliedkit.numbers(), items)
  return applying.Work(applied.make(config, appliedkit.find))


def test_a_fit_is_made_once_and_kept_with_all_it_depends_on(tmp_path):
  made, line = fits.fitted(work(), tmp_path)
  assert float(made["count"]) == 5 and "written" in line
  (path,) = (tmp_path / "fitted").glob("*.npz")
  about = json.loads(path.with_suffix(".json").read_text())
  assert about["models"] == {"source": "0" * 64} and about["fit_num"] == 5
  assert fits.mark(about) == path.stem
  again, line = fits.fitted(work("apply.num=3", "data.batch=16"), tmp_path)
  assert again == made and "read" in line
  other, line = fits.fitted(work("apply.fit_num=4"), tmp_path)
  assert float(other["count"]) == 4 and "written" in line
  path.write_bytes(b"cut")
  mended, line = fits.fitted(work(), tmp_path)
  assert "written" in line and "anew" in line  # and what was wrong
  np.testing.assert_array_equal(mended["count"], made["count"])


@pytest.mark.parametrize(
  "item, same",
  [
    ("apply.num=9", True),
    ("data.batch=16", True),
    ("procedure.source.path=elsewhere", True),
    ("procedure.by=3.0", False),
    ("seed=1", False),
  ],
)
def test_the_mark_of_results_is_that_of_what_they_depend_on(item, same):
  one, other = (
    fits.mark(fits.protocol(work(*items).parts)) for items in ([], [item])
  )
  assert (one == other) == same


def test_results_are_of_one_part_of_the_data(tmp_path):
  listed = tmp_path / "kept.txt"

  def mark(*items, numbers="0 1 2"):
    listed.write_text(numbers)
    config = configs.override(appliedkit.numbers(), items)
    config.data.name = "array"
    parts = applied.make(config, appliedkit.find)
    source = sources.ArraySource({"label": np.arange(9)})
    kept = keep.part(source, str(listed))
    parts = dataclasses.replace(parts, sources={"train": kept})
    return fits.mark(fits.protocol(parts)), fits.mark(fits.fit_protocol(parts))

  one = mark()
  train = mark("data.train_split=train[:5]")
  assert one[0] != train[0] and one[1] != train[1]
  held = mark("data.eval_split=other")
  assert one[0] != held[0] and one[1] == held[1]
  other = mark(numbers="0 1 3")
  assert one[0] != other[0] and one[1] != other[1]
  assert one == mark(f"data.keep={listed}")


def test_fields_that_a_fit_does_not_read_keep_it(monkeypatch):
  monkeypatch.setattr(appliedkit.Noise, "asked", ("by",))
  one, other = (work(*items).parts for items in ([], ["procedure.by=3.0"]))
  assert fits.fit_protocol(one) == fits.fit_protocol(other)
  assert fits.protocol(one) != fits.protocol(other)


def test_what_does_not_fit_has_nothing_to_read(tmp_path):
  config = appliedkit.recipe("nowhere", steps=4)
  parts = applied.make(config, appliedkit.find, data=False)
  assert fits.fitted(applying.Work(parts), tmp_path)[0] == {}
  assert not list(tmp_path.iterdir()) and fits.protocol(parts)["fit"] is None


def test_all_hosts_fit_anew_or_none_does(monkeypatch, tmp_path):
  """One to which the disk shows an old state would fit alone, for ever."""
  first = fits.fitted(work(), tmp_path)[0]
  (path,) = (tmp_path / "fitted").glob("*.npz")
  second = hosts.Group(7, 1, 2)

  def sees(*answers):
    told = iter(answers)
    gather = lambda name, value, **more: {0: next(told), 1: value}
    monkeypatch.setattr(hosts, "gather", gather)

  sees("there", "")
  found, line = fits.fitted(work(), tmp_path, second)
  assert found == first and "read" in line
  sees("")  # the first sees none: this one helps it
  assert "written" in fits.fitted(work(), tmp_path, second)[1]
  path.unlink()
  sees("there", "")
  with pytest.raises(OSError, match="cannot be read, as the first host can"):
    fits.fitted(work(), tmp_path, second)
