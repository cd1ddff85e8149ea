"""CycleDiffusion on Stable Diffusion 1.4: pictures edited by two texts, 512 px.

    python -m jmim.convert --from=sd --weights=SD.safetensors --out=SD
    python -m jmim.convert --from=hf_clip_model --weights=CLIP --out=CLIP
    python -m jmim.main --mode=apply --workdir=W --config.data.data_dir=DIR \
      --config=configs/cycle_sd512.py:source=SD/net,clip=CLIP,tokenizer=TOKENS
    python -m jmim.main --mode=dry_run --topology=v5e:4x4 \
      --config=configs/cycle_sd512.py:skip=30

An example holds `image`, its text `caption`, and `target`, the text of the edit
(the authors: 128 triplets, in their README). CLIP is ViT-B/32, as published;
TOKENS is its tokenizer.json, that of Stable Diffusion 1 too.

Each image is encoded by 15 trials of 100 steps with eta 0.1, told its text
without guidance, begun after 15, 20, 25, 30, 40 or 50 steps, and decoded at
scales 1, 1.5, 2, 3, 4 and 5: 540 pictures, of which that of the best
directional CLIP is kept. One after the other: memory is that of one batch.

Arguments: source=, clip= (runs), tokenizer=, skip=0 (all of these; else one),
trials=15, batch=16 (one a chip of v5e:4x4), num=128.

Size: trains nothing.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

SKIPS, SCALES = (15, 20, 25, 30, 40, 50), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    source="",
    clip="",
    tokenizer="",
    skip=0,
    trials=15,
    batch=16,
    num=128,
  )
  config = configs.procedure()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="edits512",
    eval_split="test",
    batch=arg.batch,
    size=512,
    eval_crop="center",
    mean=half,
    std=half,
    tokenizer=f"file:{arg.tokenizer or 'tokenizer.json'}",
    text_start=49_406,
    text_end=49_407,
    text_pad=49_407,
    texts=(("target_tokens", "target"),),
  )
  base = "configs/ldm_laion512.py:autoencoder=VAE,text=TEXT"
  config.procedure = configs.section(
    type="edit.cycle_diffusion",
    source=dict(path=arg.source, recipe=base),
    scorer=dict(path=arg.clip, recipe="configs/clip_laion400m.py"),
    told="target",
    code=dict(steps=100, eta=0.1),
    search=dict(
      skip=(arg.skip,) if arg.skip else SKIPS, scale=SCALES, trials=arg.trials
    ),
    choice=dict(kind="direction"),
  )
  config.apply.num = arg.num
  config.evals.edits = configs.section(type="edits")
  if arg.clip:
    config.evals.clip = configs.section(
      type="clip",
      predict="apply",
      picture="image",
      source="batch",
      text="target",
      before="caption",
      workdir=arg.clip,
    )
  return config
