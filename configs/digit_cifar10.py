"""DiGIT on CIFAR-10: 64 codes of an MAE's features (or of patches) per image.

A teacher, a run of mae_cifar10 (mae_digits), and two tables of codes first;
then stage one, and a stage two that renders its codes:

    R="--config=configs/digit_cifar10.py"; T=teacher=runs/mae
    python -m jmim.tools.make_codebook --out=features.npz --codes=64 \
      --config=configs/codebook_cifar10.py:features=runs/mae
    python -m jmim.tools.make_codebook --out=patches.npz --codes=64 \
      --config=configs/codebook_cifar10.py
    python -m jmim.main --workdir=runs/gpt $R:$T,semantic=features.npz
    python -m jmim.main --workdir=runs/nar \
      $R:stage=nar,$T,semantic=features.npz,pixels=patches.npz

and to sample, --mode=sample with prior=runs/gpt added to the last. Arguments:
stage=gpt (ar, nar), data=cifar10 (digits: no download), teacher= (empty: codes
of patches), semantic=, pixels=, prior=, codes=64, steps=3000 (of the card).

Codes are made of images in every step, so that both kinds are of one view. The
teacher is read after its last block but one: it has four, not twelve. Not yet
measured here: `python -m jmim.tools.claim digit`.

Size: 0.819 M parameters.
Time: not measured.
Expect: not measured here.
"""

from jmim.core import config as configs

SMALL = dict(dims=dict(width=128, depth=4, heads=4))
CIFAR = dict(mean=(0.4914, 0.4822, 0.4465), std=(0.2470, 0.2435, 0.2616))
HALF = dict(mean=(0.5,) * 3, std=(0.5,) * 3)


def get_config(arg: str | None = None):
  arg = configs.parse_arg(
    arg,
    stage="gpt",
    data="cifar10",
    teacher="",
    semantic="",
    pixels="",
    prior="",
    codes=64,
    steps=3000,
  )
  config, digits = configs.base(), arg.data == "digits"
  normal = HALF if digits else CIFAR
  config.data.update(name="digits/scattered" if digits else arg.data, **normal)
  config.data.update(batch=64, size=32, flip=not digits)
  dims = dict(width=64, depth=3, heads=2) if digits else {}
  dims = dict(variant="Ti/4", width=96, depth=4, heads=4) | dims
  teacher = dict(family="mae", path=arg.teacher, dims=dims, layer=-2, norm=True)
  vectors = dict(size=32, patch=4, **normal)
  vectors |= dict(teacher=teacher if arg.teacher else dict(family="none"))
  config.method = configs.section(
    type="discrete.digit" if arg.stage == "gpt" else "discrete.digit_pixels",
    semantic=dict(read="images", vocabulary=arg.codes, codebook=arg.semantic),
    lm=SMALL,
  )
  config.method.semantic.vectors = vectors
  config.optim.update(lr=1e-3, b2=0.98, weight_decay=0.01, clip_norm=1.0)
  config.schedule.update(name="rsqrt", warmup_steps=150, start_lr=1e-7)
  config.train.update(total_steps=arg.steps, checkpoint_steps=500, log_steps=50)
  config.evals = configs.section(loss=dict(type="loss", limit=1024))
  if arg.stage == "gpt":
    config.method.sampling = dict(top_k=32)
    config.evals.stability = dict(type="mean", predict="stability", limit=512)
    config.evals.probe = dict(type="probe", train_limit=8000, limit=4000)
    return config
  pixels = dict(kind="patches", read="images", patch=4, side=8)
  config.method.pixels = dict(vocabulary=arg.codes, path=arg.pixels, **pixels)
  config.method.render = dict(type=arg.stage)
  config.method.prior = dict(path=arg.prior, lm=SMALL, sampling=dict(top_k=32))
  config.evals.samples = dict(type="samples", predict="rendered")
  config.evals.judged = dict(type="judged", predict="rendered", labelled=True)
  config.evals.judged.samples = 400
  return config
