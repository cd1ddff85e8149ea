import jax
import jax.numpy as jnp
import numpy as np
import PIL.Image
import pytest

from jmim.checkpoints import models
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import field
from jmim.core import method as methods
from jmim.tools import draw_outputs

HEAVY = "heavy=restore/input method.degraded.degradation=face_heavy"


@pytest.fixture(scope="module")
def model():
  config = configs.base()
  config.data.update(size=8, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
  config.method = configs.section(
    type="restore.restorer",
    size=8,
    net=dict(type="conv", layers=2, width=4),
    degraded=dict(degradation="face_light"),
  )
  method = discovery.make(config.method)
  batch = {"image": jnp.zeros((1, 8, 8, 3))}
  params, _ = jax.jit(method.init)(jax.random.key(0), batch)
  weights = methods.Weights(params)
  return models.Model(config=config, method=method, weights=weights)


@pytest.fixture
def stored():
  return np.random.default_rng(0).integers(256, size=(3, 8, 8, 3), dtype="u1")


@pytest.fixture
def batch(stored):
  image = jnp.asarray(stored / 255.0, jnp.float32)
  return {"image": image, "index": jnp.arange(len(stored))}


def test_a_column_is_an_output_of_a_changed_config(model, stored, batch):
  light = draw_outputs.column(model, batch, "a=restore/input")
  heavy = draw_outputs.column(model, batch, HEAVY)
  target = draw_outputs.column(model, batch, "t=restore/target")
  assert (light[0], heavy[0]) == ("a", "heavy")
  np.testing.assert_array_equal(target[1], stored)
  away = lambda x: np.abs(x.astype(float) - stored).mean()
  assert away(heavy[1]) > away(light[1]) > 0
  _, around = draw_outputs.column(
    model, batch, "s=restore/target", signed=["s"]
  )
  share = stored / stored.max()
  np.testing.assert_allclose(around, 127.5 * (1 + share), atol=1)


def test_a_sheet_has_a_column_each(model, batch, monkeypatch, tmp_path, capsys):
  monkeypatch.setattr(models, "of_run", lambda *args: model)
  first = lambda model, num: {name: x[:num] for name, x in batch.items()}
  monkeypatch.setattr(draw_outputs, "batch_of", first)
  out = tmp_path / "a.png"
  argv = ["--workdir=W", f"--out={out}", "--num=2", "a=restore/image", HEAVY]
  assert draw_outputs.main(argv) == 0
  with PIL.Image.open(out) as picture:
    assert 2 * 128 < picture.width < 3 * 128 < picture.height + 128
  assert capsys.readouterr().out == f"done: {out}\n"


def test_what_draws_of_regions_have_in_common_is_their_map():
  config = configs.base()
  config.data.update(size=8, mean=(0.5,) * 3, std=(0.5,) * 3)
  config.method = configs.section(type="restore.sam_diffsr")
  kind = discovery.find("restore.sam_diffsr")
  told = dict(read="ids", weighted=False)
  method = field.replace(kind.tiny(), structure=told)
  config.method = configs.section(
    type="restore.sam_diffsr", **field.settings(method)
  )
  weights = methods.Weights({})  # of which regions read none
  model = models.Model(config=config, method=method, weights=weights)
  ids = np.repeat(np.array([1, 1, 1, 1, 0, 0, 0, 0])[None, :, None], 8, 2)
  batch = {
    "image": jnp.zeros((2, 8, 8, 3)),
    "instance": jnp.asarray(np.repeat(ids, 2, 0)),
    "index": jnp.arange(2),
  }
  titles = {
    "map": "regions/map",
    "one": "regions/noise",
    "all": "regions/noise",
  }
  column = lambda title, output: draw_outputs.column(
    model, batch, f"{title}={output}", signed=titles, mean=["all"]
  )
  made = dict(column(*pair) for pair in titles.items())
  upper, lower = made["map"][0, 0, 0], made["map"][0, 7, 0]
  assert (upper != lower).any()
  assert (made["map"][:, :4] == upper).all()
  grey = {title: x.astype(float).mean(-1).ravel() for title, x in made.items()}
  like = lambda title: np.corrcoef(grey[title], grey["map"])[0, 1]
  assert like("all") > 0.8 > 2 * like("one")


@pytest.mark.parametrize(
  "text, said",
  [
    ("restore/image", "TITLE=OUTPUT"),
    ("a=features", "one of restore"),
    ("a=restore", "image, input, target"),
    ("a=restore/image method.degradedd=x", "degradedd"),
  ],
)
def test_a_column_that_cannot_be_drawn(model, batch, text, said):
  with pytest.raises(errors.UserError) as found:
    draw_outputs.column(model, batch, text)
  assert said in str(found.value)
