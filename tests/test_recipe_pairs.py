"""Runs that recipes read, as their docstrings name both: they are accepted.

A docstring says `--workdir=runs/vq` of one command and `pixels=runs/vq` of
another. What the config of the first says of its images, and of what no shape
shows, must be what the frozen network of the second expects (`method.Const`),
and its arrays must be there. Nothing is trained or read.
"""

import dataclasses
import functools
import re

import commandkit
import jax
import jax.numpy as jnp
import pytest

from jmim.checkpoints import frozen
from jmim.core import config as configs
from jmim.core import discovery
from jmim.core import errors
from jmim.core import recipes
from jmim.core import tree as trees
from jmim.session import assemble

# Runs that a docstring reads and whose command is another's: a recipe, and what
# is changed of it.
KL = ("configs/autoencoder_kl_imagenet.py",)
KL_DIGITS = ("configs/autoencoder_kl_digits.py",)
VQ = ("configs/autoencoder_vq_imagenet.py",)
VQ_OF_MAGE = (f"{VQ[0]}:variant=vq-f16", "method.codebook.codes=1024")
MAE = ("configs/mae_cifar10.py",)
TEACHER = ("configs/teacher_cifar10.py",)
ELSEWHERE = {
  "arbscale_images": {"AE": ("configs/autoencoder_inr_images.py",)},
  "cae_cifar10": {"runs/codes": ("configs/codebook_cifar10.py",)},
  "codebook_cifar10": {"runs/mae": MAE},
  "diffir_gopro": {"P": ("configs/diffir_prior_gopro.py",)},
  "digit_cifar10": {"runs/mae": MAE},
  "digit_codes_imagenet256": {"runs/vq": VQ_OF_MAGE},
  "digit_imagenet256": {"runs/vq": VQ_OF_MAGE},
  "dimr_imagenet": {"runs/vae": KL},
  "dit_moe_imagenet256": {"runs/vae": KL},
  "i2p_mae_shapes": {"runs/seen": ("configs/rendered_shapes.py",)},
  "lavin_dit_published": {
    "runs/vae": ("configs/autoencoder3d_k400.py:stage=adaptive",)
  },
  "ldm_imagenet256": {"runs/vq": VQ},
  "lightningdit_cifar10": {"VAE": ("configs/va_vae_cifar10.py",)},
  "lmd_finetune_digits": {"AE": KL_DIGITS},
  "maskalign_cifar10": {"runs/teacher": TEACHER},
  "mr_mae_cifar10": {"runs/teacher": TEACHER},
  "oripid_digits": {"AE": KL_DIGITS},
  "resshift_imagenet": {"AE": VQ},
  "tad_sr_imagenet": {"AE": VQ, "T": ("configs/resshift_imagenet.py",)},
}
# Arguments that read files of a run.
OPENED = ("dit_latents_digits.py:autoencoder=", "diffrate_spots.py:lists=")


def asked(words):
  """(recipe, changes of its config) of a command; S is a number."""
  keys = [w.removeprefix("--config.") for w in words if w[:9] == "--config."]
  keys = [re.sub("=S$", "=1.0", key) for key in keys]
  return commandkit.flag(words, "config"), *keys


def readers():
  """(recipe, runs by their paths, a command that names one as a value)."""
  for name in recipes.names():
    found = commandkit.of_module(recipes.path(name))
    known = [words for words in found if commandkit.flag(words, "config")]
    runs = {}
    for words in known:
      out = commandkit.flag(
        words, "out" if "jmim.convert" in words else "workdir"
      )
      if out and not commandkit.flag(words, "mode"):
        runs.setdefault(out, asked(words))
    runs |= ELSEWHERE.get(name, {})
    for spec in dict.fromkeys(map(asked, known)):
      values = {v for text in spec for v in re.split("[,=]", text)[1:]}
      if values & runs.keys() and not any(x in spec[0] for x in OPENED):
        yield name, runs, spec


READERS = list(readers())
NAMES = [f"{name}-{','.join(spec)[:60]}" for name, _, spec in READERS]


@functools.cache
def loaded(spec, *keys):
  return configs.override(configs.load(spec), keys)


@functools.cache
def shapes(*spec):
  """The leaves of what such a run has trained; nothing is computed."""
  method = discovery.make(loaded(*spec).method)
  return trees.named(assemble.trace_parameters(method, 8))


def consts(spec):
  """(name, const) of the frozen networks of a config, with a path."""
  config = loaded(*spec)
  found = discovery.make(config.method).consts() if "method" in config else {}
  return [(n, c) for n, c in found.items() if c.path]


def fits(saved, like, start):
  """Whether leaves behind a name are what is wanted."""
  found = [saved.get(start + name) for name in like]
  wanted = [x.shape for x in like.values()]
  return [x is not None and x.shape for x in found] == wanted


def refused(const, data, run, folder):
  """What is wrong with a run's config, if anything is.

  What is left to be wanted after it is a checkpoint, which there is not.
  """
  (folder / "config.json").write_text(run.to_json())
  small = lambda key: {"x": jnp.zeros(1)}
  there = dataclasses.replace(const, path=str(folder), init=small)
  with pytest.raises(errors.UserError) as e:
    frozen.load("network", there, data)
  return "" if "with a checkpoint" in e.value.expected else e.value.seen


@pytest.mark.parametrize(("name", "runs", "spec"), READERS, ids=NAMES)
def test_what_a_run_was_trained_with_is_what_is_expected(
  name, runs, spec, tmp_path
):
  for _, const in consts(spec):
    if const.path in runs:
      run, data = loaded(*runs[const.path]), loaded(*spec).data
      assert not refused(const, data, run, tmp_path), (name, const.path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "runs", "spec"), READERS, ids=NAMES)
def test_a_run_has_the_arrays_that_are_read(name, runs, spec):
  for _, const in consts(spec):
    if const.path not in runs:
      continue
    like = trees.named(jax.eval_shape(const.init, jax.random.key(0)))
    saved = shapes(*runs[const.path])
    ends = {n.removesuffix(e) for n in saved for e in like if n.endswith(e)}
    assert any(fits(saved, like, end) for end in ends), (name, const.path)


def test_there_are_some():
  found = {name for name, *_ in READERS}
  assert len(READERS) > 40 and found >= ELSEWHERE.keys()


def test_another_normalisation_is_refused(tmp_path):
  reader = ("configs/digit_imagenet256.py:stage=ar,pixels=runs/vq",)
  ((_, const),) = consts(reader)
  data = loaded(*reader).data
  assert not refused(const, data, loaded(*VQ_OF_MAGE), tmp_path)
  other = loaded(*VQ_OF_MAGE, "data.std=(0.2,0.2,0.2)")
  assert "data.std" in refused(const, data, other, tmp_path)


def test_a_model_of_words_may_come_without_a_normalisation(tmp_path):
  """As jmim.convert makes a run of it, beside whose images none were read."""
  reader = ("configs/mmar_laion.py:lora=8,host=runs/qwen2",)
  ((_, const),) = consts(reader)
  converted = loaded("configs/mmar_laion.py", "data.mean=(0.4,0.4,0.4)")
  assert not refused(const, loaded(*reader).data, converted, tmp_path)
  other = loaded("configs/mmar_laion.py", "method.network.lm.theta=9.0")
  assert "theta" in refused(const, loaded(*reader).data, other, tmp_path)
