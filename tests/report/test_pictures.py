import base64

import workdirs
from hypothesis import given
from hypothesis import strategies as st

from jmim.report import pictures


def test_pictures_are_in_the_page_by_evaluator_and_step(tmp_path):
  folder = workdirs.make(tmp_path / "run") / "images"
  (folder / "recon_ema_sheet_00000007.png").write_bytes(b"x")
  (folder / "notes.png").write_bytes(b"not one of ours")
  found, left_out = pictures.read(folder, ["recon", "recon_ema"])
  assert left_out == 0
  assert list(found) == ["recon_ema/sheet", "recon/sheet"]
  assert [step for step, _ in found["recon/sheet"]] == [50, 100, 200]
  head, _, data = found["recon/sheet"][1][1].partition(",")
  stored = folder / "recon_sheet_00000100.png"
  assert head == "data:image/png;base64"
  assert base64.b64decode(data) == stored.read_bytes()


def test_samples_of_the_command_line_are_shown_by_their_settings(tmp_path):
  folder = workdirs.make(tmp_path / "run") / "images"
  for step in (900, 1000):
    part = folder.parent / "samples" / f"step{step}_raw_seed0_ab12" / "part_"
    part.parent.mkdir(parents=True)
    for number in range(2):
      part.with_name(f"part_{number:05d}.png").write_bytes(b"%d" % number)
  found, _ = pictures.read(folder, ["recon"])
  shown = found["--mode=sample/raw_seed0_ab12"]
  assert [step for step, _ in shown] == [900, 1000]
  assert shown[0][1].endswith(base64.b64encode(b"0").decode())


def test_the_bound_holds_and_what_is_left_out_is_counted(tmp_path):
  folder = workdirs.make(tmp_path / "run") / "images"
  size = (folder / "recon_sheet_00000200.png").stat().st_size
  found, left_out = pictures.read(folder, ["recon"], limit=2 * size + 9)
  assert [step for step, _ in found["recon/sheet"]] == [100, 200]
  assert left_out == 1
  assert pictures.read(folder, ["recon"], limit=0) == ({}, 3)


sizes = st.dictionaries(
  st.sampled_from("abcd"),
  st.lists(st.integers(1, 50), min_size=1, max_size=30).map(
    lambda ones: list(enumerate(ones))
  ),
)


@given(sizes, st.integers(0, 400))
def test_thinning(given_sizes, limit):
  kept = pictures.thinned(given_sizes, limit)
  left = {
    n: [b for s, b in ones if s in kept[n]] for n, ones in given_sizes.items()
  }
  total = sum(sum(x) for x in left.values())
  assert total <= limit
  if sum(b for ones in given_sizes.values() for _, b in ones) <= limit:
    assert all(len(left[n]) == len(given_sizes[n]) for n in left)
  newest = sum(ones[-1][1] for ones in given_sizes.values())
  if newest <= limit:  # then none of the newest has to go
    assert all(ones[-1][0] in kept[n] for n, ones in given_sizes.items())
