"""Diff-Protect at its published size: Stable Diffusion 1, 512 px, 100 steps.

The text part is not here yet: examples hold `image` and `context` [77, 768],
the last layer of CLIP's text encoder of "a photo", "a painting" or "an anime
picture" (the paper has some 100 images each of anime, portraits, landscapes and
artworks). SD is a run of ldm_laion512, or published weights of that size.

    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/diff_protect_published.py \
      --config.data.name=NAME --config.data.data_dir=DIR \
      --config.procedure.source.path=SD
    python -m jmim.main --mode=dry_run --topology=v5e:2x4 \
      --config=configs/diff_protect_published.py

Arguments: attack=sds, direction=descent, strength=0.3 (the paper: .1, .2, .3),
batch=8 images (one a chip of v5e:2x4).

Reference (the authors'; not repeated here): half the time and memory of AdvDM.

Size: trains nothing.
Time: not measured.
Expect: half the time and memory of AdvDM (the authors'; not repeated).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg, attack="sds", direction="descent", strength=0.3, batch=8
  )
  config = configs.procedure()
  config.data.update(
    name="protect512",
    eval_split="test",
    batch=arg.batch,
    size=512,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
  )
  config.procedure = configs.section(
    type="edit.diff_protect",
    source=configs.section(recipe="configs/ldm_laion512.py:autoencoder=VAE"),
    attack=arg.attack,
    direction=arg.direction,
    readout=configs.section(strength=arg.strength),
  )
  config.evals = configs.section(
    natural=configs.section(type="restoration", predict="apply"),
    mimicry=configs.section(
      type="edits", edits=("sdedit",), source="clean_sdedit"
    ),
  )
  return config
