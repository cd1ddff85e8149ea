"""The commands of README.md and docs/ are run, one after the other, shortened.

Each command either fits a line of RUN, which says what makes it short, or a
line of ONLY_READ, which says why it is not run here; test_doc_commands.py
checks flags, keys and files of all.
"""

import os
import re
import subprocess
import sys

import pytest
import test_doc_commands as documented

ROOT = documented.ROOT
ONLY_READ = (
  (r"^(\S*pip install|\S*python3? -m venv|pip |\. )", "installs: .ci/run does"),
  (r"_folder|runs/mine( |_ft|$)", "test_own_images.py runs it"),
  (r"jmim.main (doctor|--list|--help|--completion)", "prints; tests/screens"),
  (r"-m pytest", "is what runs this, or in test_docs.py"),
  (r"my_lab|runs/stripes", "test_docs.py runs it"),
  (r"launch/", "test_doc_commands.py and test_launch.py run it"),
  (r"make_data", "needs archives; tests/tools/test_make_data.py"),
  (r"bench_input --config", "needs ImageNet"),
  (r"--head=", "needs a probe; tests/convert/test_exporting.py"),
  (r"--push=", "needs a hub; tests/convert/test_hubs.py"),
  (r"--topology=v5[ep]|--at=v5e", "takes libtpu; test_dry_run.py"),
  (r"autoencoder_kl_imagenet|dit_imagenet256", "published size"),
  (r"-m jmim.main --config=configs/mae_imagenet", "published size"),
  (r"--workdir=runs/mae_l", "a run of published size"),
  (r"-m jmim.convert --from=mae", "weights of others; tests/convert"),
  (r"--peer", "needs PyTorch; test_bench_step.py"),
  (r"bench_masking --batch", "a timing; test_bench_masking.py"),
  (r"make_codebook .*features", "reads a run; test_make_codebook.py"),
  (
    r"--config=configs/((ddpm|ldm_text|captioner|blob)_scenes|diffdub_)",
    "minutes; claims train it",
  ),
  (r"bench_sample .*digit", "a timing; test_bench_sample.py"),
  (r"scaling masks", "a timing of minutes; test_bench_step.py"),
  (r"cold_start", "a timing; test_cold_start.py"),
  (r"bench_(expert_choice|scan)", "a timing; tests/tools has both"),
  (r"wandb", "needs W&B; tests/core/test_boards.py"),
  (r"--mode=apply", "takes a trained run; tests/modes/test_apply.py"),
  (r"ldm_digits\.py:pixels", "minutes; test_docs.py shortens it"),
  (r"claim (umd|tad_sr|SLUG)", "half an hour; test_claim.py"),
  (r"check_curve", "needs a whole run; test_check_curve.py"),
  (r"--config=\.\.\.", "a form of a command"),
  (r"diffir_cifar10\.py:first", "reads runs of minutes; its claim trains them"),
  (
    r"draw_(swaps|sizes|edits|outputs|words|poses)|fit_codes",
    "reads runs; tests/tools",
  ),
  (r"--workdir=(HOST|W)( |$)", "minutes; claims train it"),
  (r"make_pairs|average_checkpoints", "reads runs; tests/tools has both"),
  (r"=PART", "needs a run over a host; tests/convert/test_mounting.py"),
)
TINY = (
  "--config.train.total_steps=4",
  "--config.train.checkpoint_steps=2",
  "--config.schedule.warmup_steps=1",
  "--config.data.batch=16",
)
NONE = tuple(
  f"--config.evals.{name}=None"
  for name in ("probe", "knn", "fewshot", "linear", "introspect", "recon")
)
DIGITS = (*TINY, "--config.evals.probe=None", "--config.evals.recon.batches=1")
CIFAR = (*TINY, *NONE, "--config.data.name=digits/scattered")
RUN = (
  (r"--mode=describe", ()),
  (r"--config=(configs/)?mae_digits(\.py)?( |$)", DIGITS),
  (r"--config=configs/mae_cifar10\.py", CIFAR),
  (r"--config=configs/finetune_digits\.py", TINY),
  (r"--mode=eval --workdir=runs/digits", DIGITS),
  (r"--mode=export --workdir=runs/digits", ()),
  (r"convert --weights=hub", ()),
  (r"--mode=sample --workdir=runs/dit", ("--num=4", "--steps=2")),
  (r"jmim\.report", ()),
  (r"claim --list", ()),
  (r"bench_input", ("--images=8", "--rounds=1", "--seconds=1")),
  (r"draw_methods", ("mae", "--out=pictures")),
  (r"bench_masking .*--flops", ()),
)
# What a page leaves to the reader, or what is at hand instead.
FOR = {
  "=RECIPE": "=configs/mae_digits.py",
  "=RUN": "=runs/digits",
  "=FOLDER": "=hub",
  "=DIR": "=data",
  "--replay_step=1234": "--replay_step=3",
  "runs/mae": "runs/digits",
  "runs/dmae": "runs/digits_ft",
}


def substituted(words):
  """The command with what `FOR` says in place of placeholders."""
  found = []
  for word in words:
    for end, other in FOR.items():
      if word.endswith(end) and (end[0] in "=-" or word == end):
        word = word.removesuffix(end) + other
        break
    found.append(word)
  return found


def more(words):
  """Arguments that make a command short; None if it is not run."""
  text = " ".join(words)
  for pattern, extra in RUN if not skipped(words) else ():
    if re.search(pattern, " ".join(substituted(words))):
      return extra
  assert skipped(words), f"neither run nor said why not: {text}"
  return None


def skipped(words):
  """Why a command is not run, or None."""
  text = " ".join(words)
  if "--mode=describe" in text:
    return None  # a published size, but nothing is computed
  return next((why for p, why in ONLY_READ if re.search(p, text)), None)


def todo():
  """(words, extra) of the commands to run, each once, in their order."""
  found = {}
  for _, words in documented.OF_PAGES:
    extra = more(words)
    if extra is not None:
      found.setdefault(("python", *substituted(words)[1:]), extra)
  return sorted(found.items(), key=lambda item: _turn(" ".join(item[0])))


def _turn(text):
  """Runs come first, then what reads them, then what reads an export."""
  return (
    "convert --weights" in text,
    "--mode" in text or "jmim.main" not in text,
  )


def test_every_command_is_run_or_says_why_not():
  commands = todo()
  assert len(commands) >= 12
  for pattern, _ in RUN:
    assert any(re.search(pattern, " ".join(c)) for c, _ in commands), pattern
  for pattern, why in ONLY_READ:
    assert any(
      re.search(pattern, " ".join(c)) for _, c in documented.OF_PAGES
    ), why


@pytest.mark.slow
def test_the_commands_run(tmp_path):
  for name in ("configs", "jmim", "launch"):
    (tmp_path / name).symlink_to(ROOT / name)
  env = {**os.environ, "PYTHONPATH": str(ROOT)}
  env.pop("XLA_FLAGS", None)  # one device is enough
  before = (
    "python -m jmim.main --config=configs/dit_digits.py --workdir=runs/dit "
    "--config.evals.samples=None"
  )  # of which docs/diffusion.md samples
  for words, extra in [(before.split(), TINY), *todo()]:
    done = subprocess.run(
      [sys.executable, *words[1:], *extra],
      cwd=tmp_path,
      env=env,
      text=True,
      capture_output=True,
      check=False,
    )
    shown = f"{' '.join(words)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    assert done.returncode == 0, shown
    assert "Traceback" not in done.stdout + done.stderr, shown
    print(" ".join(words))
