"""DiffSTE at 256 px, as published: from Stable Diffusion's inpainting UNet.

Examples are squares of 256 px around a text, cut beforehand (the authors': ArT,
COCO-Text, TextOCR and 1.3 M of SynthTiger in 100 fonts): `image`; `mask` [256,
256], 1 where the text is, masks of neighbouring words among them; `characters`
[20] (`jmim.data.characters`); `instruction`, the texts of
`jmim.data.instructions.every` (with mixture=True those of the released code,
which says fonts with "and" in the name alone), or of a real scene the one
without a style.

    python -m jmim.convert --from=diffste_base --weights=FOLDER --out=SD
    python -m jmim.main --config=configs/diffste_scenetext.py --workdir=W \
      --config.data.data_dir=DIR --config.data.tokenizer=file:TOKENIZER \
      --config.init_from.path=SD --config.method.told.text.path=TEXT \
      --config.method.first_stage.path=VAE

TEXT is CLIP L/14's text tower, VAE Stable Diffusion's, both as runs or files of
`jmim.convert`; TOKENIZER the tokenizer.json of CLIP. Transformers of the start
become those of the text; those of characters start random.

Arguments: epochs=15 (of the 2 M examples), batch=256, lr=5e-5.

Size: 1.11 G parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

TOKENS = 20


def get_config(arg: str | None = None):
  arg = configs.parse_arg(arg, epochs=15.0, batch=256, lr=5e-5)
  config = configs.base()
  half = (0.5, 0.5, 0.5)
  config.data.update(
    name="scenetext",
    batch=arg.batch,
    size=256,
    tokenizer="file:tokenizer.json",
    text="instruction",
    text_length=TOKENS,
    text_start=49_406,
    text_end=49_407,
    text_pad=49_407,
    flip=False,
    mean=half,
    std=half,
  )
  config.method = configs.section(
    type="edit.diffste",
    told=dict(tokens=TOKENS, text=dict(path="TEXT")),
    first_stage=dict(path="VAE"),
  )
  config.init_from.update(
    path="SD",
    rename=(("_attention/", "_attention/text/"),),
    skip=("^main/told/",),
    reinit=("/char/",),
  )
  config.optim.update(
    lr=arg.lr, b2=0.999, eps=1e-8, weight_decay=0.0, clip_norm=3.0
  )
  config.schedule.update(name="constant", warmup_steps=0)
  config.train.update(
    total_epochs=arg.epochs, checkpoint_steps=2000, log_steps=100
  )
  config.evals = configs.section(
    samples=configs.section(type="samples", every_steps=10_000)
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
