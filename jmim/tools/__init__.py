"""Programs beside the main one: claims, benchmarks, caches."""
