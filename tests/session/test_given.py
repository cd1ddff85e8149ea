import json

import jax
import pytest

from jmim.convert import opening
from jmim.core import errors
from jmim.core import procedure
from jmim.core import run_config
from jmim.core import runtime
from jmim.session import given

KEY = "procedure.source"
RT = runtime.Runtime(scan=True)


def read(**fields):
  needs = procedure.Needs(**fields)
  return given.read(needs, KEY, open_it=opening.model, rt=RT)


@pytest.mark.parametrize("weights", ["auto", "raw", "ema"])
def test_a_run_is_read_with_the_weights_that_are_asked_for(trained, weights):
  found = read(path=str(trained), weights=weights)
  assert found.key == "procedure.source.path" and found.method.rt == RT
  other = read(path=str(trained), weights="raw").sha256
  # The run has an EMA, which "auto" takes.
  assert (found.sha256 == other) == (weights == "raw")
  again = read(path=str(trained), weights=weights, sha256=found.sha256)
  assert again.sha256 == found.sha256
  shown = found.model()
  assert shown.method is found.method and shown.key == found.key


def mistake(**fields):
  with pytest.raises(errors.UserError) as e:
    read(**fields)
  return e.value


def test_mistakes_name_their_key(trained, tmp_path):
  assert mistake(path="").key == "procedure.source.path"
  missing = mistake(path=str(tmp_path / "none"))
  assert missing.key == "procedure.source.path" and "none" in missing.seen
  other = mistake(path=str(trained), sha256="12")
  assert other.key == "procedure.source.sha256" and other.expected == "12"


def test_shapes_are_those_of_the_run_or_of_a_recipe(trained, tmp_path):
  needs = procedure.Needs(path=str(trained))
  found = given.shapes(needs, KEY, rt=RT)
  arrays = read(path=str(trained))
  same = jax.tree.map(
    lambda a, b: a.shape == b.shape and a.dtype == b.dtype,
    found.weights,
    arrays.weights,
  )
  assert all(jax.tree.leaves(same)) and found.sha256 == ""
  leaf = jax.tree.leaves(found.weights)[0]
  assert isinstance(leaf, jax.ShapeDtypeStruct)
  recipe = tmp_path / "recipe.py"
  recipe.write_text(
    "from jmim.core import run_config\n"
    f"get_config = lambda arg=None: run_config.load({str(trained)!r})\n"
  )
  again = given.shapes(procedure.Needs(recipe=str(recipe)), KEY, rt=RT)
  assert jax.tree.structure(again.weights) == jax.tree.structure(found.weights)
  with pytest.raises(errors.UserError) as e:
    given.shapes(procedure.Needs(path=str(tmp_path)), KEY, rt=RT)
  assert e.value.key == "procedure.source.recipe"


def test_the_shapes_of_an_export_are_those_of_its_run(trained, tmp_path):
  config = run_config.load(trained)
  about = json.dumps({"config": json.loads(config.to_json()), "family": "x"})
  (tmp_path / "jmim.json").write_text(about)
  (tmp_path / "config.json").write_text('{"model_type": "vit"}')  # a library's
  found = given.shapes(procedure.Needs(path=str(tmp_path)), KEY, rt=RT)
  assert found.method.__class__ is read(path=str(trained)).method.__class__
