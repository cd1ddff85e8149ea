"""The other side of `bench_step --peer`: the same step in PyTorch.

Transformers' ViTMAEForPreTraining, or Diffusers' DiTTransformer2DModel, with
scaled dot product attention and fused AdamW, in a process of its own, so that
neither side's threads wait in the other's time. It reads one JSON line, what to
build, and then answers each line with a number of steps by the seconds they
took, and {"profile": steps} by what took them.
"""

import dataclasses
import importlib.metadata
import json
import re
import sys
import time
from typing import Any

import torch
import transformers

from jmim.cost import kinds

# Operators of torch by the names of `cost.kinds`, first match first.
_KINDS = (
  (f"{kinds.DEPENDENT}, both passes", r"addmm|::mm$|linear"),
  (kinds.BATCHED, r"bmm|scaled_dot_product|flash_attention"),
  (kinds.NORMS, r"layer_norm"),
  (kinds.ACTIVATION, r"gelu"),
  (kinds.SOFTMAX, r"softmax"),
  (kinds.COPIES, r"copy|clone|contiguous|::cat|gather|slice_backward|pad"),
  (kinds.OUTSIDE, r"adam|optimizer|zero_grad"),
)


def build(spec: dict[str, Any]) -> torch.nn.Module:
  """What turns a batch of `spec` into a loss (`bench_ours.peer_spec`)."""
  torch.manual_seed(0)
  return Noise(spec) if spec["model"] == "dit" else MAE(spec)


class MAE(torch.nn.Module):
  """Transformers' MAE."""

  def __init__(self, spec: dict[str, Any]):
    """`spec`: of a MAE."""
    super().__init__()
    self.net = mae(spec)

  def forward(self, images: torch.Tensor) -> torch.Tensor:
    """The loss of images [b, c, h, w]."""
    return self.net(images).loss


class Noise(torch.nn.Module):
  """Diffusers' DiT and the error of its noise.

  The mean squared error alone: what else our loss has is element-wise.
  """

  def __init__(self, spec: dict[str, Any]):
    """`spec`: of a DiT."""
    import diffusers  # noqa: PLC0415  slow to import

    super().__init__()
    self.net = diffusers.DiTTransformer2DModel(
      num_attention_heads=spec["heads"],
      attention_head_dim=spec["width"] // spec["heads"],
      in_channels=spec["channels"],
      out_channels=spec["out"],
      num_layers=spec["depth"],
      sample_size=spec["size"],
      patch_size=spec["patch"],
      num_embeds_ada_norm=spec["classes"],
    )
    self.classes = spec["classes"]

  def forward(self, z: torch.Tensor) -> torch.Tensor:
    """The loss of latents [b, c, h, w]."""
    noise, at = torch.randn_like(z), {"device": z.device}
    t = torch.randint(1000, (len(z),), **at)
    label = torch.randint(self.classes, (len(z),), **at)
    made = self.net(z + noise, timestep=t, class_labels=label).sample
    return torch.nn.functional.mse_loss(made[:, : z.shape[1]], noise)


def mae(spec: dict[str, Any]) -> transformers.ViTMAEForPreTraining:
  """The model of a MAE config."""
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
        loss = self.model(self.images)
      self.optimizer.zero_grad(set_to_none=True)
      loss.backward()
      self.optimizer.step()
    value = loss.item()  # waits for the device
    return {
      "seconds": time.perf_counter() - start,
      "cpu": time.process_time() - busy,
      "loss": value,
    }

  def profile(self, steps: int) -> dict[str, Any]:
    """What took the time of some steps; see `bench_ours.Ours.profile`."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if self.gpu:
      activities.append(torch.profiler.ProfilerActivity.CUDA)
    with torch.profiler.profile(
      activities=activities, record_shapes=True, with_flops=True
    ) as found:
      took = self.run(steps)
    events = found.key_averages(group_by_input_shape=True)
    name = "device" if self.gpu else "cpu"
    times = [getattr(e, f"self_{name}_time_total") / 1e6 for e in events]
    # How many bytes an operator moves, torch does not say.
    spent = [
      (e, (seconds, e.flops, 0, e.count))
      for e, seconds in zip(events, times, strict=True)
    ]
    by_kind = [(_kind(e.key), x) for e, x in spent]
    by_shape = [
      (f"{_sides(e.input_shapes)} {e.key.removeprefix('aten::')}", x)
      for e, x in spent
      if e.flops and _sides(e.input_shapes)
    ]
    rows = lambda found: [
      dataclasses.asdict(row) for row in kinds.summed(found, steps)
    ]
    return {
      "seconds": took["seconds"] / steps,
      "kinds": rows(by_kind),
      "shapes": rows(by_shape),
    }


def _kind(key: str) -> str:
  """The kind of work that an operator is."""
  for name, pattern in _KINDS:
    if re.search(pattern, key.lower()):
      return name
  return kinds.REST


def _sides(shapes: list[list[int]]) -> str:
  """The matrices among an operator's inputs."""
  return " x ".join(str(list(x)) for x in shapes if len(x) >= 2)


def main() -> None:
  """Serves one `bench_step`."""
  spec = json.loads(sys.stdin.readline())
  step = Step(spec)
  library = "diffusers" if spec["model"] == "dit" else "transformers"
  versions = [
    f"{n} {importlib.metadata.version(n)}" for n in (library, "torch")
  ]
  name = ", ".join(versions)
  parameters = sum(
    p.numel() for p in step.model.parameters() if p.requires_grad
  )
  print(json.dumps({"name": name, "parameters": parameters}), flush=True)
  for line in sys.stdin:
    asked = json.loads(line)
    traced = isinstance(asked, dict)
    answer = step.profile(asked["profile"]) if traced else step.run(asked)
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
  main()
