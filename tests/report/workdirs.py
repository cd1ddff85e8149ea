"""Workdirs as a run leaves them, made in no time."""

import json

import numpy as np
import PIL.Image

from jmim.core import config as configs

EVIL = "</script><script>alert(1)</script>"
STEPS = 200


def loss(step, shift=0.0):
  return 1.0 / step + 0.1 + shift


def make(folder, steps=STEPS, shift=0.0, notes=True):
  """A finished run with two evaluations and three pictures."""
  folder.mkdir(parents=True)
  config = configs.base()
  config.data.update(name=EVIL, batch=64)
  config.method = configs.section(type="mim.mae", mask_ratio=0.6, width=64)
  config.train.total_steps = steps
  config.evals = configs.section(
    loss=configs.section(type="loss"),
    recon=configs.section(type="recon"),
    recon_ema=configs.section(type="recon"),
  )
  (folder / "config.json").write_text(config.to_json())
  lines = [
    {
      "step": s,
      "loss": loss(s, shift),
      "lr": 1e-3,
      "images_per_second": 640.0,
      "goodput/steps": 0.7,
      "goodput/input": 0.1,
      "goodput/eval": 0.2,
      "goodput/restart": 0.0,
      "mfu": 0.25,
      "input_wait": 0.01,
      "skipped_steps": 0,
      "grad_norm": "nan",
    }
    for s in range(1, steps + 1)
  ]
  lines += [
    {
      "step": s,
      "loss/loss": loss(s) + 0.01,
      "loss/examples": 10,
      "eval": "loss",
      "protocol": {"type": "jmim.evals.loss", "data": EVIL},
    }
    for s in (steps // 2, steps)
  ]
  lines.append(
    {
      "step": steps,
      "recon/mse": 0.1,
      "recon/mse_nearest": 0.2 + shift,
      "recon/pixels_mse": 0.4,
      "eval": "recon",
      "protocol": {"type": "jmim.evals.recon"},
      "reads": {"mse": ["", "lower"]},
    }
  )
  text = "".join(json.dumps(line) + "\n" for line in lines)
  (folder / "metrics.jsonl").write_text(text + '{"step": 99, "lo')
  (folder / "images").mkdir()
  for i, step in enumerate((steps // 4, steps // 2, steps)):
    pixels = np.full((40, 60, 3), 80 * i, np.uint8)
    path = folder / "images" / f"recon_sheet_{step:08d}.png"
    PIL.Image.fromarray(pixels).save(path)
  (folder / "checkpoints" / str(steps)).mkdir(parents=True)
  sizes = {"a": 1_000_000, "b": 500_000}
  (folder / "checkpoints" / str(steps) / "sizes.json").write_text(
    json.dumps(sizes)
  )
  if notes:
    (folder / "run.json").write_text(json.dumps(NOTES))
  return folder


NOTES = {
  "total": STEPS,
  "defaults": {"method.mask_ratio": 0.75, "method.width": 64},
  "model": {
    "parameters": 1234567,
    "cost": "3 GFLOP per image",
    "modules": [["main/encoder", "4 arrays", "1,234,567"]],
    "memory": [["params", "4.71", "0.59", "0.1250"]],
    "largest": [["main/encoder/kernel", "(8, 8)", "0.00", "(-, fsdp)"]],
  },
  "hardware": {"rows": [["mesh", "data=1 x fsdp=8"], ["devices", "8 x cpu"]]},
  "environment": [["jax", "0.10.2"]],
  "starts": [
    {
      "step": 0,
      "time": "2026-01-01 00:00 UTC",
      "git": "abc1234",
      "command": f"python -m jmim.main {EVIL}",
    }
  ],
}
