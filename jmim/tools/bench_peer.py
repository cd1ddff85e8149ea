"""The other side of `bench_step --peer`: the same step in PyTorch.

Transformers' ViTMAEForPreTraining with scaled dot product attention and fused
AdamW, in a process of its own, so that neither side's threads wait in the
other's time. It reads one JSON line, what to build, and then answers each line
with a number of steps by the seconds they took.
"""

import json
import sys
import time
from typing import Any

import torch
import transformers


def build(spec: dict[str, Any]) -> transformers.ViTMAEForPreTraining:
  """The model of a MAE config (`bench_step.peer_spec`)."""
  config = transformers.ViTMAEConfig(
    hidden_size=spec["width"],
    num_hidden_layers=spec["depth"],
    num_attention_heads=spec["heads"],
    intermediate_size=spec["hidden"],
    image_size=spec["size"],
    patch_size=spec["patch"],
    num_channels=spec["channels"],
    decoder_hidden_size=spec["decoder_width"],
    decoder_num_hidden_layers=spec["decoder_depth"],
    decoder_num_attention_heads=spec["decoder_heads"],
    decoder_intermediate_size=spec["decoder_hidden"],
    mask_ratio=spec["mask_ratio"],
    norm_pix_loss=spec["norm_pix"],
  )
  config._attn_implementation = "sdpa"
  torch.manual_seed(0)
  return transformers.ViTMAEForPreTraining(config)


class Step:
  """A training step on one fixed batch."""

  def __init__(self, spec: dict[str, Any]):
    """Builds model, optimizer and batch of `spec`."""
    self.gpu = torch.cuda.is_available()
    device = "cuda" if self.gpu else "cpu"
    self.bf16 = spec["dtype"] == "bfloat16"
    model = build(spec).to(device).train()
    self.optimizer = torch.optim.AdamW(
      model.parameters(),
      lr=spec["lr"],
      betas=tuple(spec["betas"]),
      weight_decay=spec["weight_decay"],
      fused=True,
    )
    self.model = torch.compile(model) if self.gpu else model
    shape = (spec["batch"], spec["channels"], spec["size"], spec["size"])
    self.images = torch.randn(shape, device=device)
    self.device = device

  def run(self, steps: int) -> dict[str, float]:
    """Wall and processor seconds of some steps, and the last loss."""
    start, busy = time.perf_counter(), time.process_time()
    for _ in range(steps):
      with torch.autocast(self.device, torch.bfloat16, enabled=self.bf16):
        loss = self.model(self.images).loss
      self.optimizer.zero_grad(set_to_none=True)
      loss.backward()
      self.optimizer.step()
    value = loss.item()  # waits for the device
    return {
      "seconds": time.perf_counter() - start,
      "cpu": time.process_time() - busy,
      "loss": value,
    }


def main() -> None:
  """Serves one `bench_step`."""
  spec = json.loads(sys.stdin.readline())
  step = Step(spec)
  name = f"transformers {transformers.__version__}, torch {torch.__version__}"
  parameters = sum(
    p.numel() for p in step.model.parameters() if p.requires_grad
  )
  print(json.dumps({"name": name, "parameters": parameters}), flush=True)
  for line in sys.stdin:
    print(json.dumps(step.run(int(line))), flush=True)


if __name__ == "__main__":
  main()
