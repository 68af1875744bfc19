"""The library: tuned settings of many environments, each with the verdict runs that speak for it."""
