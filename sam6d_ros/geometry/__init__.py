"""Pure geometry: arrays in, arrays out."""
