"""Step-Video (stepfun-ai/Step-Video-T2V): its autoencoder, its transformer."""

import step_video_vae

SKIPPED = {}
# Key of a config -> what such a case is about.
KINDS = {
  "down_sampling_layer": step_video_vae.encoder,
  "temporal_up_layers": step_video_vae.decoder,
}


def run(case):
  return next(f for key, f in KINDS.items() if key in case.config)(case)
