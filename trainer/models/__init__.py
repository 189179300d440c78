"""What is trained: denoisers, text encoders, and the pipelines they end up in.

Diffusers, transformers and peft are imported below here only.
"""

from trainer.libraries import load_torchvision

load_torchvision()
