"""From a checked config to what a run is made of: method, data, evaluators."""
