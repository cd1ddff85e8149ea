"""AdaSpa on Step-Video at 544 x 992: a fifth of attention in 40 of 50 calls.

    python -m jmim.main --mode=eval --workdir=C --allow_changes \
      --config=configs/adaspa_published.py:first_stage=VAE

C: a run of step_video_published:stage=clips544. Arguments: size=4b (30b),
length=204 frames (136, 68), first_stage= (weights of the Video-VAE), null=
(features of no text), batch=8 clips at once, scaling=False: 0.8 of the blocks
are dropped and calls 10 and 30 search; True: 0.9, calls 0 and 30 (the paper's
scaling study).
75,888 tokens in 593 blocks of 128, for TPUs (64 in the paper).

Reference (theirs, 720p, A100): HunyuanVideo 13B, PSNR 29.07, 1.78 times as
fast; CogVideoX1.5-5B 23.25, 1.66. By counted work attention here is 2.6 times
cheaper (scaling=True: 7.3).

Size: 4.93 G parameters.
Time: not measured.
Expect: nothing published of this host.
"""

from jmim.core import config as configs


def get_config(arg: str | None = None):
  known = dict(size="4b", length=204, first_stage="", null="")
  arg = configs.parse_arg(arg, batch=8, scaling=False, **known)
  given = ",".join(f"{k}={arg[k]}" for k in known if arg[k])
  config = configs.load(f"step_video_published:stage=clips544,{given}")
  config.data.batch = arg.batch
  config.method.type = "video.adaspa"
  config.method.sparse = configs.section(
    sparsity=0.9 if arg.scaling else 0.8,
    block=128,
    searches=(0, 30) if arg.scaling else (10, 30),
  )
  mean = lambda of, limit: configs.section(
    type="mean", predict=of, weights="ema", limit=limit
  )
  config.evals = configs.section(errors=mean("errors", 256))
  if arg.first_stage:
    config.evals.fidelity = mean("fidelity", 32)
    config.evals.samples = configs.section(type="samples", weights="ema")
  return config
