"""What is changed in a message that is tracked: links, images, the pixel, style sheets; only there, and nothing else."""
