"""Variants of given motions: other surroundings, other ground under the feet, mirror images."""
