"""From motion capture of any humanoid to the character's motions."""
