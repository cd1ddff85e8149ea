"""An LDM of the size of Stable Diffusion 1 or 2, LAION aesthetics at 512 px.

Examples hold a `caption` and `moments` of a kl-f8 first stage
(`jmim.tools.cache_latents`); the text encoder is that of CLIP, frozen, and
TOKENS its tokenizer.json. Published weights, all three of them, instead of
training: `python -m jmim.convert --from=sd --weights=FILE --out=SD`.

    python -m jmim.convert --from=hf_clip_text --weights=CLIP --out=TEXT
    python -m jmim.main --workdir=W --config.data.data_dir=DIR \
      --config=configs/ldm_laion512.py:autoencoder=VAE,text=TEXT,tokenizer=TOKENS

Arguments: autoencoder=, text= (runs), tokenizer= (a file), version=1 (2: that
of OpenCLIP, its last layer but one, and heads of 64), steps=225000, batch=2048:
those of Stable Diffusion 1.4, from memory.

Size: 860 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import choices
from jmim.core import config as configs

SIZE = dict(width=320, multipliers=(1, 2, 4, 4), attend_at=(1, 2, 4))
HEADS = {1: dict(heads=8), 2: dict(heads=0, head_width=64)}
TEXT = {
  1: {},  # as `parts/text.py` has it
  2: dict(width=1024, depth=24, heads=16, act="gelu", layer=2, pad=0),
}


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    autoencoder="",
    text="",
    tokenizer="",
    version=1,
    steps=225_000,
    batch=2048,
  )
  choices.check(arg, version=HEADS)
  config = configs.base()
  config.data.update(
    name="laion512_latents",
    eval_split="test",
    batch=arg.batch,
    size=512,
    flip=False,
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    tokenizer=f"file:{arg.tokenizer or 'tokenizer.json'}",
    text_start=49_406,
    text_end=49_407,
    text_pad=0 if arg.version == 2 else 49_407,
  )
  config.method = configs.section(
    type="latent.ldm",
    size=64,
    channels=4,
    dims=SIZE | HEADS[arg.version],
    first_stage=configs.section(
      variant="kl-f8", scale=0.18215, path=arg.autoencoder
    ),
    noise=configs.section(beta_start=0.00085, beta_end=0.012),
    condition=configs.section(
      task="text",
      transformer=1,
      text=dict(path=arg.text or "TEXT", **TEXT[arg.version]),
    ),
    sampling=configs.section(steps=50, guidance=7.5),
  )
  config.optim.update(lr=1e-4, b2=0.999, weight_decay=0.01)
  config.schedule.update(name="constant", warmup_steps=10_000)
  config.ema.decay = 0.9999
  config.train.update(
    total_steps=arg.steps, checkpoint_steps=5000, log_steps=100
  )
  config.evals.errors = configs.section(
    type="mean", every_steps=10_000, limit=1024
  )
  config.hardware.mesh.fsdp = 0  # up to 16 chips share the parameters
  return config
