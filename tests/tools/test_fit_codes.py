import pathlib

import numpy as np
import pytest
import scipy.stats

from jmim.checkpoints import frozen
from jmim.core import config as configs
from jmim.core import errors
from jmim.methods.parts import code_prior
from jmim.modes import train
from jmim.tools import fit_codes

ROOT = pathlib.Path(__file__).resolve().parents[2]
RECIPE = ROOT / "configs" / "diffusevae_vae_digits.py"


def clusters(n, seed):
  """Two clusters in three dimensions, far from N(0, I)."""
  rng = np.random.default_rng(seed)
  which = rng.random(n) < 0.3
  mean = np.where(which[:, None], [3.0, 0, 0], [-1.0, 1, 0])
  return mean + rng.normal(size=(n, 3)) * [0.2, 0.5, 1.5]


def test_held_out_codes_are_likelier_under_the_mixture_than_under_normal():
  mixture = fit_codes.fit(clusters(600, 0), 2)
  held = clusters(200, 1)
  found = fit_codes.log_likelihood(mixture, held)
  each = [
    np.exp(mixture["log_weight"][k])
    * scipy.stats.multivariate_normal.pdf(
      held, mixture["mean"][k], mixture["factor"][k] @ mixture["factor"][k].T
    )
    for k in range(2)
  ]
  np.testing.assert_allclose(found, np.log(sum(each)), rtol=1e-4)
  plain = scipy.stats.multivariate_normal.logpdf(held, np.zeros(3))
  np.testing.assert_allclose(fit_codes.normal(held), plain, rtol=1e-6)
  assert found.mean() > plain.mean() + 0.5


def test_the_mixture_is_the_one_the_codes_came_from():
  mixture = fit_codes.fit(clusters(4000, 0), 2)
  order = np.argsort(mixture["mean"][:, 0])
  weight = np.exp(mixture["log_weight"])[order]
  np.testing.assert_allclose(weight, [0.7, 0.3], atol=0.03)
  np.testing.assert_allclose(
    mixture["mean"][order], [[-1, 1, 0], [3, 0, 0]], atol=0.1
  )
  for k in range(2):
    factor = mixture["factor"][k]
    np.testing.assert_array_equal(np.tril(factor), factor)
    wanted = np.diag([0.2, 0.5, 1.5]) ** 2
    np.testing.assert_allclose(factor @ factor.T, wanted, atol=0.15)


def test_the_ridge_keeps_codes_in_a_plane_apart():
  flat = clusters(50, 0) * [1, 1, 0]
  mixture = fit_codes.fit(flat, 2, ridge=1e-6)
  assert np.isfinite(fit_codes.log_likelihood(mixture, flat)).all()
  np.testing.assert_allclose(mixture["factor"][:, 2, 2], 1e-3, rtol=1e-3)


def test_too_many_components_are_refused():
  with pytest.raises(errors.UserError, match="7 components for 5 codes"):
    fit_codes.fit(clusters(5, 0), 7)


class Maps:
  """An encoder whose codes are maps."""

  feature = "moments"

  def shape(self):
    return (2, 2, 6)


def test_codes_that_are_maps_are_refused():
  with pytest.raises(errors.UserError, match="codes of 2 x 2 places"):
    fit_codes.codes(Maps(), "train", 0)


class Rows(Maps):
  """Three batches of certain codes."""

  def shape(self):
    return (1, 1, 6)

  def rows(self, split, views):
    assert (split, views) == ("train", 0)
    for i in range(3):
      moments = np.full((4, 1, 1, 6), -60.0, np.float32)
      moments[..., :3] = i
      yield {"moments": moments}


def test_codes_are_one_of_each_example():
  found = fit_codes.codes(Rows(), "train", 0)
  np.testing.assert_allclose(found[:, 0], np.repeat([0, 1, 2], 4), atol=1e-6)
  assert fit_codes.codes(Rows(), "train", 0, limit=5).shape == (5, 3)


@pytest.mark.parametrize(
  "wrong", [["--out=prior.txt"], ["--components=0"], ["--iterations=0"]]
)
def test_wrong_arguments_are_named(wrong, capsys):
  given = {"--config": "c", "--workdir": "w", "--out": "p.npz"}
  given |= dict(a.split("=") for a in wrong)
  with pytest.raises(SystemExit):
    fit_codes.main([f"{k}={v}" for k, v in given.items()])
  assert wrong[0].partition("=")[0] in capsys.readouterr().err


def test_a_run_becomes_a_prior_that_can_be_sampled(
  tmp_path, digits_home, capsys
):
  changes = ("data.train_split=train[:80]", "data.eval_split=test[:40]")
  changes += (f"data.data_dir={digits_home}", "data.batch=40")
  changes += ("train.total_steps=2", "train.checkpoint_steps=2")
  changes += ("schedule.warmup_steps=0", "evals.errors=None")
  changes += ("evals.restoration=None", "hardware.compile_cache=")
  config = configs.override(configs.load(str(RECIPE)), changes)
  train.run(config, tmp_path / "run")
  out = tmp_path / "prior.npz"
  asked = [f"--config={RECIPE}", f"--workdir={tmp_path / 'run'}"]
  asked += [f"--out={out}", "--components=3"]
  assert fit_codes.main(asked + [f"--config.{c}" for c in changes]) == 0
  printed = capsys.readouterr().out
  assert "3 components of 80 codes of 16" in printed
  assert "log likelihood of 40 held out" in printed
  prior = code_prior.Prior(path=str(out), components=3)
  made = frozen.load("prior", prior.consts(16)["prior"])
  assert made["factor"].shape == (3, 16, 16)
  other = code_prior.Prior(path=str(out), components=4)
  with pytest.raises(errors.UserError, match="differs"):
    frozen.load("prior", other.consts(16)["prior"])
