"""Diff-Protect at its published size: Stable Diffusion 1, 512 px, 100 steps.

Examples hold `image` (the paper has some 100 each of anime, portraits,
landscapes and artworks); all are told one text: "a photo", "a painting" or "an
anime picture". SD is a run of ldm_laion512, or published weights of that size;
tokenizer.json is CLIP's.

    python -m jmim.convert --from=sd --weights=SD.safetensors --out=SD
    python -m jmim.main --mode=apply --workdir=W \
      --config=configs/diff_protect_published.py:source=SD/net \
      --config.data.name=NAME --config.data.data_dir=DIR
    python -m jmim.main --mode=dry_run --topology=v5e:2x4 \
      --config=configs/diff_protect_published.py

Arguments: source= (a run), tokenizer= (a file), text=a photo, clip= (a run of
clip_laion400m or converted weights: how alike CLIP finds both edits),
attack=sds, direction=descent, strength=0.3 (the paper: .1, .2, .3), batch=8
images (one a chip of v5e:2x4).

Reference (the authors'; not repeated here): half the time and memory of AdvDM.

Size: trains nothing.
Time: not measured.
Expect: half the time and memory of AdvDM (the authors'; not repeated).
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    source="",
    tokenizer="",
    text="a photo",
    clip="",
    attack="sds",
    direction="descent",
    strength=0.3,
    batch=8,
  )
  config = configs.procedure()
  config.data.update(
    name="protect512",
    eval_split="test",
    batch=arg.batch,
    size=512,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    tokenizer=f"file:{arg.tokenizer or 'tokenizer.json'}",
    text="",
    prompt=arg.text,
    text_start=49_406,
    text_end=49_407,
    text_pad=49_407,
  )
  config.procedure = configs.section(
    type="edit.diff_protect",
    source=configs.section(
      path=arg.source, recipe="configs/ldm_laion512.py:autoencoder=VAE"
    ),
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
  if arg.clip:
    config.evals.clip = configs.section(
      type="clip",
      predict="apply",
      picture="sdedit",
      source="clean_sdedit",
      text="",
      prompt=arg.text,
      workdir=arg.clip,
    )
  return config
