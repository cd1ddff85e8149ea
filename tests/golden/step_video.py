"""Step-Video (stepfun-ai/Step-Video-T2V): its autoencoder, its transformer."""

import step_video_dit
import step_video_vae

SKIPPED = {}
# Key of a config -> what such a case is about.
KINDS = {
  "down_sampling_layer": step_video_vae.encoder,
  "temporal_up_layers": step_video_vae.decoder,
  "rope_ch_split": step_video_dit.run,
  "time_shift": step_video_dit.run,
}


def run(case):
  found = (f for key, f in KINDS.items() if key in case.config)
  return next(found)(case)
