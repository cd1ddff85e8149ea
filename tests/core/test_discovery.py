import dataclasses
import sys
import types

import pytest
import toys

from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import method
from jmim.core import procedure


def test_what_several_methods_share_is_no_method():
  names = discovery.names()
  assert {"mim.mae", "diffusion.dit"} < set(names) and names == sorted(names)
  for name in names:
    folder, _, file = name.rpartition(".")
    assert folder not in ("", "parts") and not file.startswith("_")


def test_a_section_becomes_a_method():
  made = discovery.make({"type": "toys", "latent": 5})
  assert isinstance(made, toys.Adversarial) and made.latent == 5


@pytest.fixture
def stranger(tmp_path, monkeypatch, unimported):
  """A module that Python would find, and that notes when it is imported."""
  mark = tmp_path / "ran"
  text = f"import pathlib; pathlib.Path({str(mark)!r}).write_text('ran')\n"
  (tmp_path / "a_stranger.py").write_text(text)
  monkeypatch.syspath_prepend(tmp_path)
  unimported("a_stranger")
  return mark


@pytest.mark.parametrize("name", ["a_stranger", "a_stranger.more", 3])
@pytest.mark.parametrize("section", ["method", "procedure", "evals"])
def test_a_file_names_no_module_of_others(stranger, section, name):
  one = {"type": name}
  config = {section: {"x": one} if section == "evals" else one}
  with pytest.raises(errors.UserError, match="a file says so") as caught:
    discovery.check_stored(config, "config.json", [*discovery.FIND])
  assert caught.value.key == f"{section}.type" and not stranger.exists()


@pytest.mark.parametrize("section", ["method", "procedure", "evals"])
def test_a_package_of_ours_lends_its_name_to_none_of_others(
  tmp_path, monkeypatch, unimported, section
):
  """Someone who looks at a run may stand in a folder of theirs."""
  (tmp_path / "parts.py").write_text("Evaluator = 1 / 0\n")
  (tmp_path / "lib.py").write_text("Evaluator = 1 / 0\n")
  monkeypatch.syspath_prepend(tmp_path)
  # A test of evaluators may have imported a package of that name before.
  unimported("parts", "lib")
  one = {"type": "lib" if section == "evals" else "parts"}
  config = {section: {"x": one} if section == "evals" else one}
  with pytest.raises(errors.UserError, match="a file says so"):
    discovery.check_stored(config, "config.json", [*discovery.FIND])


def test_a_file_may_name_ours_in_full(monkeypatch):
  monkeypatch.setattr(discovery, "sys", types.SimpleNamespace(modules={}))
  config = {"method": {"type": "jmim.methods.mim.mae"}}
  discovery.check_stored(config, "config.json")
  assert discovery.find("jmim.methods.mim.mae").__name__ == "MAE"


def test_a_file_may_name_what_is_ours_or_imported_already(stranger):
  known = {
    "method": {"type": "mim.mae"},
    "evals": {"probe": {"type": "probe"}, "mine": {"type": "toys"}},
  }
  discovery.check_stored(known, "config.json", [*discovery.FIND])
  __import__("a_stranger")
  assert stranger.exists()  # as the program wished
  config = {"method": {"type": "a_stranger"}, "evals": {"x": {"type": "b.c"}}}
  discovery.check_stored(config, "config.json")  # evaluators are not looked up


def test_keys_of_older_configs_are_still_read():
  flat = discovery.make({"type": "mim.mae", "width": 96, "heads": 2})
  nested = {"type": "mim.mae", "dims": {"width": 96, "heads": 2}}
  assert flat == discovery.make(nested) and flat.dims.width == 96


@pytest.mark.parametrize(
  "section, key",
  [
    ({"type": "mim.mea"}, "method.type"),
    ({"type": "mim.mae", "mask_ratio": 1.5}, "method.mask_ratio"),
    ({"type": "mim.mae", "maskratio": 0.5}, "method.maskratio"),
  ],
)
def test_mistakes_name_their_key(section, key):
  with pytest.raises(errors.UserError) as e:
    discovery.make(section)
  assert e.value.key == key


@pytest.mark.parametrize(
  "section, keys",
  [
    ({"decoder_heads": 5}, ("decoder_dims.width", "decoder_dims.heads")),
    ({"heads": 5}, ("dims.width", "dims.heads")),
  ],
)
def test_sizes_that_do_not_fit_name_the_keys_of_their_part(section, keys):
  with pytest.raises(errors.UserError) as e:
    discovery.make({"type": "mim.mae", **section})
  assert e.value.key == ", ".join(f"method.{key}" for key in keys)


def test_an_architecture_without_names_in_its_message_points_at_the_section():
  @dataclasses.dataclass(frozen=True, kw_only=True)
  class Never(method.Method):
    size: int = field.value(1, "side")

  assert discovery._keys_in("too large", Never) == []
  assert discovery._keys_in("the size 5 is too large", Never) == ["size"]


@pytest.mark.parametrize("name", discovery.names())
def test_every_method_is_found_by_its_name(name):
  cls = discovery.find(name)
  assert issubclass(cls, method.Method)
  assert cls.__module__ == f"jmim.methods.{name}"


def test_a_module_of_ones_own_works_too():
  assert discovery.find("toys") is toys.Adversarial


@pytest.mark.parametrize(
  "name",
  ["mim.mea", "mim", "mim.mae.MAE", "os.path", "", ".", ".mae", "mim..mae"],
)
def test_what_is_no_method_is_a_key_error(name):
  with pytest.raises(KeyError):
    discovery.find(name)


def test_looking_for_a_module_does_not_import_it(tmp_path, monkeypatch):
  (tmp_path / "alone.py").write_text("raise AssertionError('imported')\n")
  monkeypatch.syspath_prepend(tmp_path)
  assert discovery.module_exists("alone")
  assert "alone" not in sys.modules
  with pytest.raises(AssertionError, match="imported"):
    discovery.find("alone")


def test_below_a_module_that_is_no_package_there_is_nothing():
  assert discovery.module_exists("wave")
  assert not discovery.module_exists("wave.reader")
  assert not discovery.module_exists("jmim.methods.nothing.at.all")


def test_procedures_are_found_as_methods_are():
  known = discovery.procedures()
  assert "edit.img2img" in known and not {*known} & {*discovery.names()}
  for name in known:
    cls = discovery.find_procedure(name)
    assert issubclass(cls, procedure.Procedure)
    assert cls.__module__ == f"jmim.methods.{name}"
  made = discovery.make_procedure(
    {"type": "edit.img2img", "source": {"path": "W"}, "steps": 7}
  )
  assert made.source.path == "W" and made.steps == 7
  for name in ("edit.img2img", "mim.mae"):
    find = (
      discovery.find if name.startswith("edit") else discovery.find_procedure
    )
    with pytest.raises(KeyError):
      find(name)
  with pytest.raises(errors.UserError, match="edit.img2img") as e:
    discovery.make_procedure({"type": "edit.img2im"})
  assert e.value.key == "procedure.type"
